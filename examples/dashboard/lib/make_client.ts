/**
 * Makes the one client of the Supabase project. Loaded in the browser only: a session must never
 * live on the server.
 */

import { createClient } from "@supabase/supabase-js";
import type { Database } from "./database_types";
import { type Client, type Project, SESSION_KEY } from "./project_client";

export function makeClient(project: Project): Client {
  return createClient<Database>(project.url, project.publishableKey, {
    auth: {
      storageKey: SESSION_KEY,
      persistSession: true,
      autoRefreshToken: true,
      detectSessionInUrl: false,
    },
  });
}
