/**
 * Agencies, their creators, and the way to connect a creator at Fanvue.
 */

import { Failure } from "./failure";
import { type Client, callerHeaders, type Project } from "./project_client";

export interface Agency {
  readonly id: string;
  readonly name: string;
}

export interface Model {
  readonly id: string;
  readonly handle: string | null;
  readonly display_name: string | null;
  readonly status: string;
  readonly status_reason: string | null;
  readonly status_changed_at: string | null;
}

export async function fetchAgencies(client: Client, signal: AbortSignal): Promise<Agency[]> {
  const { data, error } = await client
    .from("agencies")
    .select("id, name")
    .order("name")
    .order("id")
    .abortSignal(signal);
  if (error !== null) throw error;
  return data;
}

export async function fetchModels(
  client: Client,
  agencyId: string,
  signal: AbortSignal,
): Promise<Model[]> {
  const { data, error } = await client
    .from("model_overview")
    .select("id, handle, display_name, status, status_reason, status_changed_at")
    .eq("agency_id", agencyId)
    .order("handle")
    .order("id")
    .abortSignal(signal)
    .overrideTypes<Model[], { merge: false }>();
  if (error !== null) throw error;
  return data;
}

/**
 * Returns the address at Fanvue where a creator allows access. JSON is asked for, because a script
 * cannot read where a redirect to another origin leads.
 */
export async function connectAddress(
  client: Client,
  project: Project,
  agencyId: string,
  modelId: string | null,
): Promise<string> {
  const url = new URL(`${project.url}/functions/v1/fanvue-connect/start`);
  url.searchParams.set("agency_id", agencyId);
  if (modelId !== null) url.searchParams.set("model_id", modelId);
  url.searchParams.set("return_to", `/?agency=${agencyId}`);
  const headers = new Headers(await callerHeaders(client, project));
  headers.set("accept", "application/json");
  const response = await fetch(url, { headers, cache: "no-store" });
  if (!response.ok) throw await Failure.fromResponse(response);
  const { url: address } = (await response.json()) as { url?: unknown };
  if (typeof address !== "string" || !/^https?:$/.test(new URL(address).protocol)) {
    throw new Failure("The server sent an address that this page cannot open.");
  }
  return address;
}

export function nameOf(model: Pick<Model, "display_name" | "handle"> | undefined): string {
  return model?.display_name ?? (model?.handle ? `@${model.handle}` : "Unnamed creator");
}
