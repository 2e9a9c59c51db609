// What fanvue-connect needs of the world; index.ts gives the real things, tests give others.

import { DatabaseFunctions, type Fetch } from "../_shared/database.ts";
import type { Log } from "../_shared/logs.ts";
import type { RandomBytes } from "../_shared/sealing.ts";
import type { Settings } from "./settings.ts";

const DATABASE_TIMEOUT_MS = 8_000;

export interface Effects {
  /** The settings; throws `Misconfigured`. */
  readonly settings: () => Settings;
  /** The dashboard's address, for pages that say that the other settings are wrong. */
  readonly dashboardUrl: () => string | null;
  readonly fetch: Fetch;
  readonly randomBytes: RandomBytes;
  readonly pause: (ms: number) => Promise<void>;
  readonly log: Log;
}

export function databaseOf(
  settings: Settings,
  effects: Effects,
): DatabaseFunctions {
  return new DatabaseFunctions(
    settings.project,
    effects.fetch,
    DATABASE_TIMEOUT_MS,
  );
}
