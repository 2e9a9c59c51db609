/**
 * An agency's figures of a period, through the Edge Function `dashboard-stats`: as the signed-in
 * user, from the cache where that is as good as the database. All money is text (see money.ts).
 */

import { Failure } from "./failure";
import type { Period } from "./period";
import { type Client, callerHeaders, type Project } from "./project_client";

export interface Sums {
  readonly gross: string;
  readonly net: string;
  readonly transactions: number;
}

export interface DaySums extends Sums {
  readonly day: string;
  readonly categories: Readonly<Record<string, string>>;
}

export interface ModelSums extends Sums {
  readonly model_id: string;
  readonly handle: string | null;
  readonly display_name: string | null;
  readonly status: string;
  readonly previous_gross: string;
}

export interface TopFan {
  readonly model_id: string;
  readonly fan_uuid: string;
  readonly handle: string | null;
  readonly display_name: string | null;
  readonly gross: string;
  readonly day: string;
}

export interface Audience {
  readonly subscribers: number | null;
  readonly followers: number | null;
}

export interface Unconfirmed {
  readonly transactions: number;
  readonly amount: string;
  readonly other_currencies: readonly {
    readonly currency: string;
    readonly minor_units: number;
    readonly transactions: number;
  }[];
}

export interface Stats {
  /** Names these figures: others have another one. */
  readonly stamp: string;
  readonly from: string;
  readonly to: string;
  readonly as_of: string;
  readonly totals: Sums;
  readonly previous: Sums & { readonly from: string; readonly to: string };
  readonly by_category: readonly (Sums & { readonly category: string })[];
  readonly by_model: readonly ModelSums[];
  readonly by_day: readonly DaySums[];
  readonly top_fans: readonly TopFan[];
  readonly audience: Audience;
  readonly unconfirmed: Unconfirmed;
}

export interface StatsAnswer {
  readonly stats: Stats;
  /** hit, miss or bypass: how these figures came; for whoever measures. */
  readonly cache: string | null;
}

const PARTS = [
  "totals",
  "previous",
  "by_category",
  "by_model",
  "by_day",
  "top_fans",
  "audience",
  "unconfirmed",
];

/** Fetches the figures of a period; those of `before`, of the same period, only if they changed. */
export async function fetchStats(
  client: Client,
  project: Project,
  agencyId: string,
  { from, to }: Pick<Period, "from" | "to">,
  before: StatsAnswer | null,
  signal: AbortSignal,
): Promise<StatsAnswer> {
  const url = new URL(`${project.url}/functions/v1/dashboard-stats`);
  url.search = new URLSearchParams({ agency_id: agencyId, from, to }).toString();
  const headers = await callerHeaders(client, project);
  const ask = (more: Record<string, string>) =>
    fetch(url, { headers: { ...headers, ...more }, signal, cache: "no-store" });
  // Not in the address: before each new one a browser asks whether it may, which is a call too. A
  // function of an older release lets no page send it, which looks like no answer: it is asked without.
  const response =
    before === null
      ? await ask({})
      : await ask({ "x-known-stamp": before.stats.stamp }).catch(() => ask({}));
  if (!response.ok) throw await Failure.fromResponse(response);
  const body: unknown = await response.json();
  if (before !== null && isUnchanged(body)) {
    return { ...before, stats: { ...before.stats, as_of: body.as_of } };
  }
  if (!isStats(body)) throw new Failure("The server sent figures that this page cannot read.");
  return { stats: body, cache: response.headers.get("x-cache") };
}

function isUnchanged(body: unknown): body is Pick<Stats, "as_of"> {
  return typeof body === "object" && body !== null && "unchanged" in body && "as_of" in body;
}

function isStats(body: unknown): body is Stats {
  return typeof body === "object" && body !== null && PARTS.every((part) => part in body);
}
