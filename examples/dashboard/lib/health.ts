/**
 * The health of every stream of every creator, as the database words it, and what a person may do
 * about it.
 */

import { Failure } from "./failure";
import type { Client } from "./project_client";
import { countOnce, readAll } from "./read_all";

export interface Progress {
  readonly kind?: string;
  readonly phase?: string;
  readonly pages?: number;
  readonly rows?: number;
  readonly days?: number;
  readonly position?: string | null;
  readonly floor?: string | null;
  readonly ceiling?: string | null;
}

export interface StreamHealth {
  readonly model_id: string;
  readonly sync_type: string;
  readonly health: string;
  readonly last_success_at: string | null;
  readonly next_sync_at: string | null;
  readonly last_error: { readonly message?: string; readonly remedy?: string } | null;
  readonly job_state: string | null;
  readonly job_run_at: string | null;
  readonly job_progress: Progress | null;
}

export type Tone = "good" | "busy" | "calm" | "warn" | "bad";

const COLUMNS =
  "model_id, sync_type, health, last_success_at, next_sync_at, last_error, job_state, job_run_at, job_progress";

const TONES: Readonly<Record<string, Tone>> = {
  fresh: "good",
  syncing: "busy",
  paused: "calm",
  "at rest": "calm",
  "waiting for its first sync": "calm",
  late: "warn",
  partial: "warn",
  failing: "bad",
  "gave up; tried again when due": "bad",
  "the creator must connect again": "bad",
};

// Money first, then what people look at most.
const STREAMS: Readonly<Record<string, string>> = {
  earnings: "Earnings",
  messages: "Messages",
  message_history: "Message history",
  subscribers: "Subscribers",
  followers: "Followers",
  posts: "Posts",
  top_fans: "Top fans",
  account: "Account",
};
const ORDER = Object.keys(STREAMS);
// A page's clock begins up to ten seconds early and ticks every ten: what was queued just now must
// not seem to lie ahead.
const CLOCK_LAG = 20_000;
// Longer than the database waits before it says "late".
const LATE_MS = 600_000;
// A sync ends a little before it is committed: no statement takes longer.
const COMMIT_MS = 60_000;

/** Which streams are wanted: those of some creators; of them what was synced since, or is not fresh. */
interface Narrowed {
  readonly models?: readonly string[] | null;
  readonly since?: string | null;
}

/** Fetches all streams of an agency, or of some of its creators, or those that are not as before. */
export async function fetchHealth(
  client: Client,
  agencyId: string,
  signal: AbortSignal,
  { models = null, since = null }: Narrowed = {},
): Promise<StreamHealth[]> {
  const streams = await readAll<StreamHealth>((after) => {
    const rows = client
      .from("sync_health")
      .select(COLUMNS, countOnce(after))
      .eq("agency_id", agencyId);
    if (models !== null) rows.in("model_id", models);
    if (since !== null) {
      rows.or(`last_success_at.gte.${since},health.neq.fresh,job_state.not.is.null`);
    }
    if (after !== undefined) {
      const { model_id: model, sync_type: type } = after;
      // Said twice, so that the index leads straight to the place.
      rows.gte("model_id", model);
      rows.or(`model_id.gt.${model},and(model_id.eq.${model},sync_type.gt.${type})`);
    }
    return rows
      .order("model_id")
      .order("sync_type")
      .abortSignal(signal)
      .overrideTypes<StreamHealth[], { merge: false }>();
  });
  return streams.toSorted((a, b) => rank(a.sync_type) - rank(b.sync_type));
}

/**
 * Puts streams in the place of what was known of them. Those that were not fetched are fresh and have
 * no job: null where one of them was not, or is overdue and yet not late, and became so without a sync,
 * or is gone. When it is tells the newest sync: a browser's clock may be far from the database's.
 */
export function mergeHealth(
  known: readonly StreamHealth[],
  models: readonly string[] | null,
  fetched: readonly StreamHealth[],
): StreamHealth[] | null {
  const now = newestEnd([...known, ...fetched]);
  const names = new Set(fetched.map(nameOf));
  const kept = known.filter((stream) => !names.has(nameOf(stream)));
  const isAsked = ({ model_id: id }: StreamHealth) => models === null || models.includes(id);
  if (kept.some((stream) => isAsked(stream) && !isSettled(stream, now))) return null;
  return [...kept, ...fetched].toSorted((a, b) => rank(a.sync_type) - rank(b.sync_type));
}

/** Asks for a sync now; what the database refuses comes back as a sentence. */
export async function requestSync(
  client: Client,
  modelId: string,
  syncType: string,
): Promise<Failure | null> {
  const { error } = await client.rpc("request_sync", {
    p_model_id: modelId,
    p_sync_type: syncType,
  });
  return error === null ? null : Failure.from(error);
}

export function toneOf(health: string): Tone {
  return TONES[health] ?? "warn";
}

export function streamLabel(syncType: string): string {
  return STREAMS[syncType] ?? syncType.replaceAll("_", " ");
}

/** Tells whether work is under way or about to be. */
export function isUnderWay(stream: StreamHealth, now: number): boolean {
  if (stream.job_state === "running") return true;
  return stream.job_state === "queued" && Date.parse(stream.job_run_at ?? "") <= now + CLOCK_LAG;
}

/** How much of a walk is done, 0 to 1; null where nobody knows how long it is. */
export function progressShare({ position, floor, ceiling }: Progress): number | null {
  const [at, from, to] = [position, floor, ceiling].map((instant) => Date.parse(instant ?? ""));
  if (at === undefined || from === undefined || to === undefined) return null;
  // The walk goes from the newest row down to the floor.
  const share = (to - at) / (to - from);
  return Number.isFinite(share) ? Math.min(1, Math.max(0, share)) : null;
}

/** From when on syncs may be unknown once these streams were fetched; null where none ever ended. */
export function unknownSince(streams: readonly StreamHealth[]): string | null {
  const newest = newestEnd(streams);
  return Number.isFinite(newest) ? new Date(newest - COMMIT_MS).toISOString() : null;
}

function newestEnd(streams: readonly StreamHealth[]): number {
  const ends = streams.map(({ last_success_at: at }) => Date.parse(at ?? ""));
  return Math.max(...ends.filter(Number.isFinite));
}

function isSettled({ health, next_sync_at: next, job_state: job }: StreamHealth, now: number) {
  return job === null && health === "fresh" && !(Date.parse(next ?? "") < now - LATE_MS);
}

function nameOf({ model_id: model, sync_type: type }: StreamHealth): string {
  return `${model} ${type}`;
}

function rank(syncType: string): number {
  const place = ORDER.indexOf(syncType);
  return place === -1 ? ORDER.length : place;
}
