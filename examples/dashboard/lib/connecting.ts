/**
 * The way to connect an account at Fanvue: a creator's, or the agency's, which serves all creators whom
 * it manages and is stored only after somebody here has seen for which agency it is.
 */

import { Failure } from "./failure";
import { type Client, callerHeaders, type Project } from "./project_client";

/** Whose account: a creator's or the agency's; with an id one that is to be connected again. */
export type Account =
  | { readonly kind: "creator"; readonly modelId: string | null }
  | { readonly kind: "agency"; readonly connectionId: string | null };

/** What Fanvue granted for the agency's account, before it is stored. */
export interface HeldConnection {
  readonly agency_id: string;
  readonly agency: string;
  readonly account: string | null;
  readonly account_uuid: string;
  readonly scopes: readonly string[];
  readonly creators: number;
}

export interface StoredConnection {
  readonly connection_id: string;
  /** How many creators were created, attached, mended, unchanged, kept or refused. */
  readonly creators: Readonly<Record<string, number>>;
}

/**
 * Returns the address at Fanvue where the account's owner allows access. JSON is asked for, because a
 * script cannot read where a redirect to another origin leads.
 */
export async function connectAddress(
  client: Client,
  project: Project,
  agencyId: string,
  account: Account,
): Promise<string> {
  const query = new URLSearchParams({ agency_id: agencyId, return_to: `/?agency=${agencyId}` });
  if (account.kind === "agency") {
    query.set("as", "agency");
    if (account.connectionId !== null) query.set("connection_id", account.connectionId);
  } else if (account.modelId !== null) {
    query.set("model_id", account.modelId);
  }
  const { url: address } = await ask<{ url?: unknown }>(client, project, "GET", `start?${query}`);
  if (typeof address !== "string" || !/^https?:$/.test(new URL(address).protocol)) {
    throw new Failure("The server sent an address that this page cannot open.");
  }
  return address;
}

/** Returns what there is to confirm; only who began sees it. */
export function fetchHeld(
  client: Client,
  project: Project,
  nonce: string,
): Promise<HeldConnection> {
  return ask(client, project, "GET", `confirm?${new URLSearchParams({ nonce })}`);
}

/** Stores the agency's account and lets its creators be read through it. */
export function confirmHeld(
  client: Client,
  project: Project,
  nonce: string,
): Promise<StoredConnection> {
  return ask(client, project, "POST", `confirm?${new URLSearchParams({ nonce })}`);
}

async function ask<Answer>(
  client: Client,
  project: Project,
  method: "GET" | "POST",
  path: string,
): Promise<Answer> {
  const headers = new Headers(await callerHeaders(client, project));
  headers.set("accept", "application/json");
  const url = `${project.url}/functions/v1/fanvue-connect/${path}`;
  const response = await fetch(url, { method, headers, cache: "no-store" });
  if (!response.ok) throw await Failure.fromResponse(response);
  return (await response.json()) as Answer;
}
