// The settings of fanvue-connect, read afresh for every request; one missing makes it answer 503.

import {
  type Environment,
  type Project,
  readAddress,
  readList,
  readProject,
  readText,
} from "../_shared/environment.ts";
import { Misconfigured } from "../_shared/errors.ts";
import { Keyring, type RandomBytes } from "../_shared/sealing.ts";

// The first three belong together: without offline access there is no refresh token.
export const USUAL_SCOPES =
  "openid offline_access offline read:self read:insights " +
  "read:fan read:chat read:post read:creator";
/** What an agency's account is asked for besides. */
export const AGENCY_SCOPE = "read:agency";

const FAMILIES: Readonly<Record<string, readonly string[]>> = {
  auto: ["/v1", ""],
  v1: ["/v1"],
  unversioned: [""],
};

export interface FanvueApp {
  readonly authUrl: string;
  readonly apiUrl: string;
  readonly apiVersion: string;
  /** What stands before a path, the most promising first. */
  readonly pathPrefixes: readonly string[];
  readonly clientId: string;
  readonly clientSecret: string;
  readonly redirectUri: string;
  readonly scopes: string;
  /** What the agency's account is asked for. */
  readonly agencyScopes: string;
}

export interface Settings {
  readonly project: Project;
  readonly fanvue: FanvueApp;
  readonly keyring: Keyring;
  /** Where what Fanvue granted is confirmed, and the browser goes in the end. */
  readonly dashboardUrl: string;
}

export function readSettings(env: Environment, random: RandomBytes): Settings {
  const project = readProject(env);
  return {
    project,
    fanvue: readFanvueApp(env, project),
    keyring: Keyring.parse(readList(env, "TOKEN_ENCRYPTION_KEYS"), random),
    dashboardUrl: readAddress(env, "DASHBOARD_URL"),
  };
}

/** Returns the dashboard's address, or null where there is none. */
export function readDashboard(env: Environment): string | null {
  return env("DASHBOARD_URL")?.trim()
    ? readAddress(env, "DASHBOARD_URL")
    : null;
}

function readFanvueApp(env: Environment, project: Project): FanvueApp {
  const family = readText(env, "FANVUE_API_FAMILY", "auto").toLowerCase();
  const pathPrefixes = FAMILIES[family];
  if (pathPrefixes === undefined) {
    throw new Misconfigured("FANVUE_API_FAMILY is not auto, v1 or unversioned");
  }
  const scopes = readText(env, "FANVUE_SCOPES", USUAL_SCOPES).split(/\s+/);
  return {
    authUrl: readAddress(env, "FANVUE_AUTH_URL", "https://auth.fanvue.com"),
    apiUrl: readAddress(env, "FANVUE_API_URL", "https://api.fanvue.com"),
    apiVersion: readText(env, "FANVUE_API_VERSION", "2025-06-26"),
    pathPrefixes,
    clientId: readText(env, "FANVUE_CLIENT_ID"),
    clientSecret: readText(env, "FANVUE_CLIENT_SECRET"),
    redirectUri: readAddress(
      env,
      "FANVUE_REDIRECT_URI",
      `${project.url}/functions/v1/fanvue-connect/callback`,
    ),
    scopes: scopes.filter((scope) => scope !== AGENCY_SCOPE).join(" "),
    agencyScopes: [...new Set([...scopes, AGENCY_SCOPE])].join(" "),
  };
}
