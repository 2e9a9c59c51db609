import { type Progress, progressShare } from "@/lib/health";

const KINDS: Readonly<Record<string, string>> = {
  full: "Reading all history",
  deep: "Looking back",
  incremental: "Reading what is new",
  reconcile: "Proving the figures",
};
const MONTH = new Intl.DateTimeFormat("en", {
  day: "numeric",
  month: "short",
  year: "numeric",
  timeZone: "UTC",
});

/** How far a running walk is. Nobody knows how long a whole history is: then the bar only moves. */
export function WalkProgress({ progress, label }: { progress: Progress; label: string }) {
  const share = progressShare(progress);
  const percent = share === null ? null : Math.round(share * 100);
  return (
    <div className="mt-2" data-testid="progress">
      <div
        className="visible-bar"
        role="progressbar"
        aria-label={`${label}: ${describe(progress)}`}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={percent ?? undefined}
      >
        <div
          className={`h-full rounded-full bg-busy ${percent === null ? "sweeping" : "transition-[width] duration-500"}`}
          style={percent === null ? undefined : { width: `${Math.max(percent, 2)}%` }}
        />
      </div>
      <p className="mt-1 text-xs text-muted">
        {describe(progress)}
        {percent !== null && ` · ${percent} %`}
      </p>
    </div>
  );
}

function describe({ kind, rows, position }: Progress): string {
  const parts = [KINDS[kind ?? ""] ?? "Reading"];
  if (rows !== undefined) parts.push(`${rows.toLocaleString("en-US")} rows`);
  const at = Date.parse(position ?? "");
  if (!Number.isNaN(at)) parts.push(`back to ${MONTH.format(at)}`);
  return parts.join(" · ");
}
