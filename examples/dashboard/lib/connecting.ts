/**
 * The way to connect an account at Fanvue: a creator's, or the agency's, which serves all creators whom
 * it manages. Nothing is stored before the person has seen here for which agency it is and what it reads.
 */

import { Failure } from "./failure";
import { type Client, callerHeaders, type Project } from "./project_client";

/** Whose account: a creator's or the agency's; with an id one that is to be connected again. */
export type Account =
  | { readonly kind: "creator"; readonly modelId: string | null }
  | { readonly kind: "agency"; readonly connectionId: string | null };

/** What Fanvue granted, before it is stored. */
export interface HeldConnection {
  readonly kind: "creator" | "agency";
  readonly agency_id: string;
  readonly agency: string;
  readonly account: string | null;
  readonly account_uuid: string;
  readonly scopes: readonly string[];
  /** How many creators the agency's account manages. */
  readonly creators: number | null;
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
  const { url: address } = await ask<{ url?: unknown }>(
    project,
    `start?${query}`,
    await callerHeaders(client, project),
  );
  if (typeof address !== "string" || !/^https?:$/.test(new URL(address).protocol)) {
    throw new Failure("The server sent an address that this page cannot open.");
  }
  return address;
}

/** Returns the session that a confirmation is shown to and sent with; a link needs none. */
export async function sessionToken(client: Client): Promise<string> {
  const { data } = await client.auth.getSession();
  return data.session?.access_token ?? "";
}

/** Returns what there is to confirm: to who began it, or to whoever came by a link. */
export function fetchHeld(project: Project, nonce: string, token: string): Promise<HeldConnection> {
  const headers = new Headers({ apikey: project.publishableKey });
  if (token !== "") headers.set("authorization", `Bearer ${token}`);
  return ask(project, `confirm?${new URLSearchParams({ nonce })}`, headers);
}

/** Where the form that confirms leads: only the browser itself brings the cookie that it takes. */
export function confirmAddress(project: Project): string {
  return `${project.url}/functions/v1/fanvue-connect/confirm`;
}

async function ask<Answer>(project: Project, path: string, given: HeadersInit): Promise<Answer> {
  const headers = new Headers(given);
  headers.set("accept", "application/json");
  const url = `${project.url}/functions/v1/fanvue-connect/${path}`;
  const response = await fetch(url, { headers, cache: "no-store" });
  if (!response.ok) throw await Failure.fromResponse(response);
  return (await response.json()) as Answer;
}
