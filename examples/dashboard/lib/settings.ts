/**
 * The two settings of this dashboard, read when a page is asked for: one build serves any project.
 * Nothing else of the environment is read, and only these two reach a browser.
 */

import type { Project } from "./project_client";

export type Settings = { readonly project: Project } | { readonly problems: readonly string[] };

export function readSettings(environment: NodeJS.ProcessEnv): Settings {
  const problems: string[] = [];
  const url = readUrl(environment.SUPABASE_URL, problems);
  const publishableKey = readKey(environment.SUPABASE_PUBLISHABLE_KEY, problems);
  return problems.length > 0 ? { problems } : { project: { url, publishableKey } };
}

/** Returns what scripts may talk to: this server, and the project over HTTP and WebSocket. */
export function connectSources(settings: Settings): string[] {
  if (!("project" in settings)) return ["'self'"];
  const { origin } = new URL(settings.project.url);
  return ["'self'", origin, origin.replace(/^http/, "ws")];
}

function readUrl(text: string | undefined, problems: string[]): string {
  const value = text?.trim() ?? "";
  if (value === "") problems.push("SUPABASE_URL is not set.");
  else if (!/^https?:\/\//.test(value) || !URL.canParse(value)) {
    problems.push("SUPABASE_URL is not an http or https address.");
  }
  return value.replace(/\/+$/, "");
}

function readKey(text: string | undefined, problems: string[]): string {
  const value = text?.trim() ?? "";
  if (value === "") problems.push("SUPABASE_PUBLISHABLE_KEY is not set.");
  else if (isSecret(value)) {
    problems.push("SUPABASE_PUBLISHABLE_KEY holds a secret key, which must never reach a browser.");
  }
  return value;
}

function isSecret(key: string): boolean {
  if (key.startsWith("sb_secret_")) return true;
  try {
    const claims = JSON.parse(Buffer.from(key.split(".")[1] ?? "", "base64url").toString());
    return claims.role === "service_role";
  } catch {
    return false;
  }
}
