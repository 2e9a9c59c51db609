"use client";

import type { AgencyData } from "@/lib/agency_data";
import { useConnection } from "@/lib/use_agency";

const WORDS = { live: "Live", connecting: "Connecting…", lost: "Reconnecting…" } as const;
const LOOKS = {
  live: "bg-good-soft text-good",
  connecting: "bg-raised text-muted",
  lost: "bg-warn-soft text-warn",
} as const;

/** Says whether figures arrive by themselves. Quiet: nothing on screen is wrong meanwhile. */
export function ConnectionPill({ data }: { data: AgencyData }) {
  const connection = useConnection(data);
  const isLost = connection === "lost";
  return (
    <div role="status" data-testid="connection" data-state={connection} className="shrink-0">
      <span
        className={`pill ${LOOKS[connection]}`}
        title={isLost ? "Figures may be a moment old" : undefined}
      >
        <span
          aria-hidden="true"
          className={`size-1.5 rounded-full bg-current ${connection === "live" ? "" : "animate-breathe"}`}
        />
        {WORDS[connection]}
        {isLost && <span className="max-md:sr-only"> figures may be a moment old</span>}
      </span>
    </div>
  );
}
