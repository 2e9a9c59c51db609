"use client";

import type { AgencyData } from "@/lib/agency_data";
import { LATE_BECAUSE } from "@/lib/announcements";
import { useConnection } from "@/lib/use_agency";
import { useResource } from "@/lib/use_resource";

const WORDS = {
  live: "Live",
  late: "Sales late",
  connecting: "Connecting…",
  lost: "Reconnecting…",
} as const;
const LOOKS = {
  live: "bg-good-soft text-good",
  late: "bg-warn-soft text-warn",
  connecting: "bg-raised text-muted",
  lost: "bg-warn-soft text-warn",
} as const;

/**
 * Says whether figures arrive by themselves, and sales at once. Quiet: nothing on screen is wrong
 * meanwhile.
 */
export function ConnectionPill({ data }: { data: AgencyData }) {
  const connection = useConnection(data);
  const arrival = useResource(data.arrival).value;
  const because = arrival === null ? null : LATE_BECAUSE[arrival];
  const state = connection === "live" && because !== null ? "late" : connection;
  const remark = state === "late" ? because : "figures may be a moment old";
  const isRemarkable = state === "late" || state === "lost";
  return (
    <div role="status" data-testid="connection" data-state={state} className="shrink-0">
      <span
        className={`pill ${LOOKS[state]}`}
        title={
          state === "late"
            ? `${because}: sales appear with the next poll, some minutes late. Nothing is lost.`
            : state === "lost"
              ? "Figures may be a moment old"
              : undefined
        }
      >
        <span
          aria-hidden="true"
          className={`size-1.5 rounded-full bg-current ${state === "live" ? "" : "animate-breathe"}`}
        />
        {WORDS[state]}
        {isRemarkable && <span className="max-md:sr-only"> {remark}</span>}
      </span>
    </div>
  );
}
