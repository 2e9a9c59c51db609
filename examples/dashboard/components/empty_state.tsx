import type { LucideIcon } from "lucide-react";
import type { ReactNode } from "react";

interface Props {
  readonly icon: LucideIcon;
  readonly title: string;
  readonly children?: ReactNode;
}

/** What stands where there is nothing yet. */
export function EmptyState({ icon: Icon, title, children }: Props) {
  return (
    <div
      className="flex flex-col items-center gap-2 px-4 py-10 text-center text-muted"
      data-testid="empty"
    >
      <span className="grid size-11 place-items-center rounded-full bg-raised">
        <Icon className="size-5" aria-hidden="true" />
      </span>
      <p className="font-semibold text-ink">{title}</p>
      {children}
    </div>
  );
}
