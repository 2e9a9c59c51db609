/**
 * Agencies, their creators, and the way to connect a creator at Fanvue.
 */

import { Failure } from "./failure";
import { type Client, callerHeaders, type Project } from "./project_client";
import { countOnce, readAll } from "./read_all";

export interface Agency {
  readonly id: string;
  readonly name: string;
}

export interface Model {
  readonly id: string;
  readonly fanvue_user_uuid: string | null;
  readonly handle: string | null;
  readonly display_name: string | null;
  readonly status: string;
  readonly status_reason: string | null;
  readonly status_changed_at: string | null;
}

const MODEL_COLUMNS =
  "id, fanvue_user_uuid, handle, display_name, status, status_reason, status_changed_at";

export async function fetchAgencies(client: Client, signal: AbortSignal): Promise<Agency[]> {
  const agencies = await readAll<Agency>((after) => {
    const rows = client.from("agencies").select("id, name", countOnce(after));
    if (after !== undefined) rows.gt("id", after.id);
    return rows.order("id").abortSignal(signal);
  });
  return agencies.toSorted((a, b) => a.name.localeCompare(b.name));
}

export interface Choice {
  readonly agency: Agency;
  /** It is on screen, but is no longer among the user's agencies. */
  readonly isLost: boolean;
}

/** Chooses what to show: what is asked for, else what is on screen already, else the first. */
export function chooseAgency(
  agencies: readonly Agency[],
  askedId: string | null,
  onScreen: Agency | null,
): Choice | null {
  const found =
    agencies.find(({ id }) => id === askedId) ?? agencies.find(({ id }) => id === onScreen?.id);
  if (found !== undefined) return { agency: found, isLost: false };
  // Never another agency's figures where somebody was reading this one's.
  if (onScreen !== null) return { agency: onScreen, isLost: true };
  const [first] = agencies;
  return first === undefined ? null : { agency: first, isLost: false };
}

export async function fetchModels(
  client: Client,
  agencyId: string,
  signal: AbortSignal,
): Promise<Model[]> {
  const models = await readAll<Model>((after) => {
    const rows = client
      .from("model_overview")
      .select(MODEL_COLUMNS, countOnce(after))
      .eq("agency_id", agencyId);
    if (after !== undefined) rows.gt("id", after.id);
    return rows.order("id").abortSignal(signal).overrideTypes<Model[], { merge: false }>();
  });
  return models.toSorted(byHandle);
}

function byHandle(a: Model, b: Model): number {
  if (a.handle === null || b.handle === null)
    return Number(b.handle !== null) - Number(a.handle !== null);
  return a.handle.localeCompare(b.handle);
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

export interface Named {
  readonly display_name: string | null;
  readonly handle: string | null;
  readonly fanvue_user_uuid?: string | null;
}

/** A handle as people write it, or null where there is none. */
export function atHandle(handle: string | null): string | null {
  return handle?.trim() ? `@${handle.trim()}` : null;
}

/**
 * Names a creator; one whose account was not read yet by the beginning of their uuid at Fanvue. Names
 * may run from right to left: show them in `<bdi>`, or they turn what stands beside them around.
 */
export function nameOf(model: Named | undefined): string {
  if (model === undefined) return "A creator";
  const name = model.display_name?.trim() || atHandle(model.handle);
  if (name) return name;
  return `New creator ${model.fanvue_user_uuid?.slice(0, 8) ?? ""}`.trimEnd();
}
