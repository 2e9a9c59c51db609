// Wires fanvue-connect: its environment, chance, time and the network.

import { writeLog } from "../_shared/logs.ts";
import { randomBytes } from "../_shared/sealing.ts";
import { handle } from "./handler.ts";
import { readDashboard, readSettings } from "./settings.ts";

function env(name: string): string | undefined {
  return Deno.env.get(name);
}

function dashboardUrl(): string | null {
  try {
    return readDashboard(env);
  } catch {
    return null;
  }
}

Deno.serve((request) =>
  handle(request, {
    settings: () => readSettings(env, randomBytes),
    dashboardUrl,
    fetch: (outgoing) => fetch(outgoing),
    randomBytes,
    pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    log: writeLog,
  })
);
