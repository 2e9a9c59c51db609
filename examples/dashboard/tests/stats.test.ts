import assert from "node:assert/strict";
import { test } from "node:test";
import type { Client } from "../lib/project_client";
import { fetchStats, type StatsAnswer } from "../lib/stats";

const PROJECT = { url: "https://project.test", publishableKey: "sb_publishable_x" };
const WEEK = { from: "2026-11-23", to: "2026-11-29" };
const PARTS = "totals previous by_category by_model by_day top_fans audience unconfirmed".split(
  " ",
);
const CLIENT = {
  auth: {
    getSession: async () => ({ data: { session: { access_token: "a.b.c" } }, error: null }),
  },
} as unknown as Client;

function figures(stamp: string): object {
  return { stamp, as_of: `of ${stamp}`, ...Object.fromEntries(PARTS.map((part) => [part, {}])) };
}

/** Asks a function that answers as given to whoever names these stamps (null: none). */
async function ask(answer: (stamp: string | null) => object, before: StatsAnswer | null) {
  const asked: (string | null)[] = [];
  globalThis.fetch = async (_, init) => {
    const stamp = new Headers(init?.headers).get("x-known-stamp");
    asked.push(stamp);
    return Response.json(answer(stamp));
  };
  const { signal } = new AbortController();
  const { stats } = await fetchStats(CLIENT, PROJECT, "a", WEEK, before, signal);
  return { asked, stats };
}

test("figures that did not change stay as they are", async () => {
  const first = await ask(() => figures("s1"), null);
  const before = { stats: first.stats, cache: null };

  const { asked, stats } = await ask(() => ({ unchanged: true, as_of: "later" }), before);

  assert.deepEqual([first.asked, asked], [[null], ["s1"]]);
  assert.deepEqual(stats, { ...figures("s1"), as_of: "later" });
});

test("a function of an older release, which lets no page name a stamp, is asked without", async () => {
  const older = (stamp: string | null) => {
    if (stamp !== null) throw new TypeError("Failed to fetch");
    return figures("s2");
  };
  const first = await ask(older, null);

  const { asked, stats } = await ask(older, { stats: first.stats, cache: null });

  assert.deepEqual(asked, ["s2", null]);
  assert.deepEqual(stats, figures("s2"));
});
