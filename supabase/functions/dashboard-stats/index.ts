// Wires dashboard-stats: its environment, time, chance, the database and Redis. One reader serves
// every request of this process, so that requests share fills and the knowledge that Redis is away.

import { Cache, readCacheSettings } from "../_shared/cache.ts";
import { DatabaseFunctions, JsonText } from "../_shared/database.ts";
import { readProject } from "../_shared/environment.ts";
import { describe, writeLog } from "../_shared/logs.ts";
import { handle } from "./handler.ts";
import { type Question } from "./question.ts";
import { type Answer, Reader } from "./reader.ts";
import { Shelf } from "./shelf.ts";
import { Source } from "./source.ts";

const DATABASE_TIMEOUT_MS = 8_000;
// A creator takes some 300 bytes: tens of thousands of them fit, with years of days.
const LARGEST_STATS_BYTES = 16 * 1024 * 1024;

function env(name: string): string | undefined {
  return Deno.env.get(name);
}

function openCache(): Cache | null {
  try {
    const settings = readCacheSettings(env);
    return settings &&
      new Cache(settings, { fetch, nowMs: Date.now, log: writeLog });
  } catch (error) {
    // Wrong settings make it slower, not wrong.
    writeLog("cache_not_set_up", { error: describe(error) });
    return null;
  }
}

const shelf = new Shelf(openCache(), {
  nowMs: Date.now,
  chance: Math.random,
});
const reader = new Reader(shelf, {
  nowMs: Date.now,
  pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
});

function read(token: string, question: Question): Promise<Answer> {
  const database = new DatabaseFunctions(
    readProject(env),
    fetch,
    DATABASE_TIMEOUT_MS,
    LARGEST_STATS_BYTES,
  );
  const source = new Source((name, args) =>
    database.callAsUser(token, name, new JsonText(JSON.stringify(args)))
  );
  return reader.read(source, question);
}

Deno.serve((request) => handle(request, { read, log: writeLog }));
