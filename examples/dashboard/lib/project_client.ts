/**
 * What the rest knows of the Supabase project: its address, its client's type, and how to call its
 * Edge Functions as the signed-in user.
 */

import type { SupabaseClient } from "@supabase/supabase-js";
import type { Database } from "./database_types";
import { Failure } from "./failure";

export interface Project {
  readonly url: string;
  readonly publishableKey: string;
}

/** Where the browser keeps the session. */
export const SESSION_KEY = "dashboard-session";

export type Client = SupabaseClient<Database>;

/** Tells whether this browser kept somebody's session, be it good or ended. */
export function hasKeptSession(): boolean {
  try {
    return localStorage.getItem(SESSION_KEY) !== null;
  } catch {
    return false;
  }
}

/** Returns headers for an Edge Function that is called as the signed-in user. */
export async function callerHeaders(
  client: Client,
  project: Project,
): Promise<Record<string, string>> {
  const { data, error } = await client.auth.getSession();
  if (error !== null) throw error;
  if (data.session === null) throw Failure.signedOut();
  return { apikey: project.publishableKey, authorization: `Bearer ${data.session.access_token}` };
}
