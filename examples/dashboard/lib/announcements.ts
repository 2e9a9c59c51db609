/** Whether Fanvue's announcements (webhooks) reach this agency; figures are right in every case. */

import { Failure } from "./failure";
import type { Client } from "./project_client";

export type Arrival = "arriving" | "none" | "refused" | "missing";

/** Why sales appear with the next poll only, in words; null where they appear at once. */
export const LATE_BECAUSE: Readonly<Record<Arrival, string | null>> = {
  arriving: null,
  // Nobody set webhooks up: that is how it was meant, not news.
  none: null,
  refused: "Fanvue's announcements are refused",
  missing: "Fanvue's announcements do not arrive",
};

/** Asks how announcements arrive; null is what this page has no word for. */
export async function fetchArrival(
  client: Client,
  agencyId: string,
  signal: AbortSignal,
): Promise<Arrival | null> {
  const { data, error } = await client
    .rpc("announcements", { p_agency_id: agencyId })
    .abortSignal(signal);
  if (error !== null) throw Failure.from(error);
  const state = (data as { state?: unknown } | null)?.state;
  return typeof state === "string" && Object.hasOwn(LATE_BECAUSE, state)
    ? (state as Arrival)
    : null;
}
