import Link from "next/link";
import { Notice } from "@/components/notice";

export default function NotFound() {
  return (
    <Notice title="There is no such page">
      <Link className="button-primary" href="/">
        To the dashboard
      </Link>
    </Notice>
  );
}
