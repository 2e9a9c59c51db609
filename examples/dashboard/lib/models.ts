/**
 * Agencies and their creators.
 */

import type { Client } from "./project_client";
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
  /** Why it does not sync: paused, adopted, connecting, disconnected and others; null: it does. */
  readonly reason_code: string | null;
  readonly connected_at: string | null;
  /** The agency's account through which the creator is read; null: they have a grant of their own. */
  readonly connection_id: string | null;
}

const MODEL_COLUMNS =
  "id, fanvue_user_uuid, handle, display_name, status, status_reason, status_changed_at, reason_code, connected_at, connection_id";

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

/** Models that must be connected again, by whose consent they wait for: one account, one entry. */
export function waitingAccounts(models: readonly Model[]): Model[][] {
  const waiting = models.filter(({ status }) => status === "reauth_required");
  return [...Map.groupBy(waiting, ({ id, connection_id }) => connection_id ?? id).values()];
}

/**
 * What an address that claims so may say is connected: a creator, or the agency's account by its
 * creators. Null where the agency's own data does not bear it out.
 */
export function sayConnected(
  models: readonly Model[],
  id: string,
): { readonly name: string | null; readonly words: string } | null {
  const model = models.find((one) => one.id === id);
  if (model !== undefined) {
    if (model.connected_at === null) return null;
    if (model.status === "active") return { name: nameOf(model), words: "is connected." };
    const isNoPause = ["connecting", "disconnected"].includes(model.reason_code ?? "");
    if (model.status !== "paused" || isNoPause) return null;
    return { name: nameOf(model), words: "is connected, and stays paused by an operator." };
  }
  const behind = models.filter((one) => one.connection_id === id && one.status === "active").length;
  if (behind === 0) return null;
  const creators = behind === 1 ? "1 creator is" : `${behind} creators are`;
  return { name: null, words: `The agency's account is connected; ${creators} read through it.` };
}
