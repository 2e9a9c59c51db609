"use client";

import { Notice } from "@/components/notice";

export default function PageError({ reset }: { reset: () => void }) {
  return (
    <Notice title="This page broke">
      <p>Nothing is lost: your figures are safe in the database.</p>
      <button type="button" className="button-primary" onClick={reset}>
        Try again
      </button>
    </Notice>
  );
}
