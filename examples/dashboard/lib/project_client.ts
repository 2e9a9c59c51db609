/**
 * The one client of the Supabase project in this browser. Made in the browser only: a session must
 * never live on the server.
 */

import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import type { Database } from "./database_types";
import { Failure } from "./failure";

export interface Project {
  readonly url: string;
  readonly publishableKey: string;
}

const SESSION_KEY = "dashboard-session";

export type Client = SupabaseClient<Database>;

export function makeClient(project: Project): Client {
  return createClient<Database>(project.url, project.publishableKey, {
    auth: {
      storageKey: SESSION_KEY,
      persistSession: true,
      autoRefreshToken: true,
      detectSessionInUrl: false,
    },
    realtime: { worker: false },
  });
}

/** Tells whether this browser kept somebody's session, be it good or ended. */
export function hasKeptSession(): boolean {
  try {
    return localStorage.getItem(SESSION_KEY) !== null;
  } catch {
    return false;
  }
}

/** Returns headers for an Edge Function that is called as the signed-in user. */
export async function callerHeaders(client: Client, project: Project): Promise<HeadersInit> {
  const { data, error } = await client.auth.getSession();
  if (error !== null) throw error;
  if (data.session === null) throw Failure.signedOut();
  return { apikey: project.publishableKey, authorization: `Bearer ${data.session.access_token}` };
}
