// Reads settings from the environment of a function. Complaints name the variable and say what to
// do; they never repeat a value, because it may be a secret.

import { Misconfigured } from "./errors.ts";

export type Environment = (name: string) => string | undefined;

/** Where the project's API is, and the two keys that open it. */
export interface Project {
  readonly url: string;
  readonly secretKey: string;
  readonly publishableKey: string;
}

/** Returns a value, or the fallback where it is not set; empty means not set. */
export function readText(
  env: Environment,
  name: string,
  fallback?: string,
): string {
  const value = env(name)?.trim() || fallback;
  if (value === undefined) throw new Misconfigured(`${name} is not set`);
  return value;
}

/** Returns the address of a server without its last slash; secrets travel there, so https. */
export function readAddress(
  env: Environment,
  name: string,
  fallback?: string,
): string {
  const text = readText(env, name, fallback);
  const url = URL.canParse(text) ? new URL(text) : null;
  const isWeb = url?.protocol === "https:" ||
    (url?.protocol === "http:" && isNearby(url.hostname));
  if (!url || !isWeb || url.username || url.search || url.hash) {
    throw new Misconfigured(
      `${name} is no bare address that begins with https://`,
    );
  }
  return url.href.replace(/\/+$/, "");
}

/** Returns the parts of a comma-separated list; an empty list counts as not set. */
export function readList(env: Environment, name: string): string[] {
  const parts = (env(name) ?? "").split(",").map((part) => part.trim()).filter(
    Boolean,
  );
  if (parts.length === 0) throw new Misconfigured(`${name} is not set`);
  return parts;
}

/** Returns the project. Hosted functions are given named keys, older ones a single key. */
export function readProject(env: Environment): Project {
  return {
    url: readAddress(env, "SUPABASE_URL"),
    secretKey: readKey(
      env,
      "SUPABASE_SECRET_KEY",
      "SUPABASE_SECRET_KEYS",
      "SUPABASE_SERVICE_ROLE_KEY",
    ),
    publishableKey: readKey(
      env,
      "SUPABASE_PUBLISHABLE_KEY",
      "SUPABASE_PUBLISHABLE_KEYS",
      "SUPABASE_ANON_KEY",
    ),
  };
}

function readKey(
  env: Environment,
  single: string,
  named: string,
  old: string,
): string {
  const key = env(single)?.trim() || defaultKey(env(named)) || env(old)?.trim();
  if (!key) throw new Misconfigured(`neither ${single} nor ${old} is set`);
  return key;
}

function defaultKey(json: string | undefined): string | undefined {
  if (!json) return undefined;
  try {
    const keys: unknown = JSON.parse(json);
    const key = (keys as { default?: unknown } | null)?.default;
    return typeof key === "string" ? key : undefined;
  } catch {
    return undefined;
  }
}

function isNearby(host: string): boolean {
  // A single label can only be this machine or a neighbour in a private network.
  return !/[.:]/.test(host) || host === "[::1]" ||
    /\.(localhost|internal|local)$/.test(host) ||
    /^(127|10)\.[\d.]+$/.test(host) || /^192\.168\.[\d.]+$/.test(host) ||
    /^172\.(1[6-9]|2\d|3[01])\.[\d.]+$/.test(host);
}
