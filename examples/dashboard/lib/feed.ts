/**
 * The newest transactions of an agency, newest first, and older ones page by page. The newest page
 * is fetched again as a whole, or all of it that is of creators of whom something was told: rows
 * change after they appear, and provisional ones merge. What a look finds changed is fetched since the last look.
 */

import type { Client } from "./project_client";

export interface Sale {
  readonly id: string;
  readonly model_id: string;
  readonly fanvue_id: string;
  readonly amount: string;
  readonly category: string | null;
  readonly status: string | null;
  readonly fan_handle: string | null;
  readonly origin: string;
  readonly sent_minor_units: number | null;
  readonly sent_currency: string | null;
  readonly fanvue_created_at: string;
}

export interface Feed {
  readonly rows: readonly Sale[];
  readonly hasMore: boolean;
}

export const PAGE = 50;
/** A page that stays open for days must not grow with every sale. */
export const LONGEST = 500;
// Amounts as text: a number would lose cents on its way.
const COLUMNS =
  "id, model_id, fanvue_id, amount::text, category, status, fan_handle, origin, sent_minor_units, sent_currency, fanvue_created_at";

/** Which rows changed: those of some creators, or those written since a moment. */
export type Change = { readonly models: readonly string[] } | { readonly since: string };

export async function fetchHead(
  client: Client,
  agencyId: string,
  before: Feed | null,
  signal: AbortSignal,
  change: Change | null = null,
): Promise<Feed> {
  if (before !== null && change !== null) {
    const floor = floorOf(before);
    const models = "models" in change ? change.models : [];
    const some = newest(client, agencyId);
    if ("since" in change) some.gte("synced_at", change.since);
    else some.in("model_id", models);
    if (floor !== null) some.gte("fanvue_created_at", floor.fanvue_created_at);
    const { data, error } = await some.abortSignal(signal);
    if (error !== null) throw error;
    // as many as a page holds: there may be more of them
    if (data.length < PAGE) return mergeSome(before, models, data);
  }
  const { data, error } = await newest(client, agencyId).abortSignal(signal);
  if (error !== null) throw error;
  return mergeHead(before, data);
}

/** Returns the rows after the last one that is shown. */
export async function fetchOlder(client: Client, agencyId: string, last: Sale): Promise<Feed> {
  const at = last.fanvue_created_at;
  const { data, error } = await newest(client, agencyId)
    // Said twice, so that the index leads straight to the place.
    .lte("fanvue_created_at", at)
    .or(`fanvue_created_at.lt."${at}",and(fanvue_created_at.eq."${at}",id.lt.${last.id})`);
  if (error !== null) throw error;
  return { rows: data, hasMore: data.length === PAGE };
}

/** Puts a fresh newest page before the older rows that were loaded already. */
export function mergeHead(before: Feed | null, head: readonly Sale[]): Feed {
  const last = head.at(-1);
  if (last === undefined || head.length < PAGE) return { rows: head, hasMore: false };
  const known = new Set(before?.rows.map(({ id }) => id));
  // So many are new that rows between them and the known ones would be missing.
  if (before === null || !head.some(({ id }) => known.has(id)))
    return { rows: head, hasMore: true };
  const older = before.rows.filter((row) => compare(row, last) > 0);
  const rows = [...head, ...older];
  const isCut = rows.length > LONGEST && rows.length > before.rows.length;
  if (isCut) return { rows: rows.slice(0, Math.max(LONGEST, before.rows.length)), hasMore: true };
  return { rows, hasMore: older.length > 0 ? before.hasMore : true };
}

/** Puts the newest rows of some creators in the place of what was shown of them. */
export function mergeSome(before: Feed, models: readonly string[], fetched: readonly Sale[]): Feed {
  const floor = floorOf(before);
  const isFetched = (row: Sale) =>
    models.includes(row.model_id) &&
    (floor === null || Date.parse(row.fanvue_created_at) >= Date.parse(floor.fanvue_created_at));
  const known = new Set(fetched.map(({ id }) => id));
  const kept = before.rows.filter((row) => !isFetched(row) && !known.has(row.id));
  const rows = [...fetched, ...kept].sort(compare);
  const most = Math.max(LONGEST, before.rows.length);
  return { rows: rows.slice(0, most), hasMore: before.hasMore || rows.length > most };
}

/** The last row of the newest page that is shown; null where all there is is shown on it. */
function floorOf({ rows, hasMore }: Feed): Sale | null {
  return rows[PAGE - 1] ?? (hasMore ? rows.at(-1) : null) ?? null;
}

/** Adds an older page; what a push brought meanwhile stays. */
export function appendOlder(feed: Feed, older: Feed): Feed {
  const known = new Set(feed.rows.map(({ id }) => id));
  const rows = [...feed.rows, ...older.rows.filter(({ id }) => !known.has(id))];
  return { rows: rows.sort(compare), hasMore: older.hasMore };
}

/** Returns the rows that are new at the top, not those that "load more" brought. */
export function arrivals(before: Feed, now: Feed): Sale[] {
  const known = new Set(before.rows.map(({ id }) => id));
  const lastKnown = now.rows.findLastIndex(({ id }) => known.has(id));
  const end = lastKnown === -1 ? now.rows.length : lastKnown;
  return now.rows.slice(0, end).filter(({ id }) => !known.has(id));
}

function newest(client: Client, agencyId: string) {
  return client
    .from("fanvue_transactions")
    .select(COLUMNS)
    .eq("agency_id", agencyId)
    .order("fanvue_created_at", { ascending: false })
    .order("id", { ascending: false })
    .limit(PAGE);
}

/** Orders as the database does: newest first, then by id. */
function compare(a: Sale, b: Sale): number {
  const apart = Date.parse(b.fanvue_created_at) - Date.parse(a.fanvue_created_at);
  if (apart !== 0) return apart;
  return descending(microseconds(a), microseconds(b)) || descending(a.id, b.id);
}

/** What a millisecond is too coarse for. */
function microseconds({ fanvue_created_at: at }: Sale): string {
  return (/\.(\d+)/.exec(at)?.[1] ?? "").padEnd(6, "0");
}

function descending(a: string, b: string): number {
  return a < b ? 1 : a > b ? -1 : 0;
}
