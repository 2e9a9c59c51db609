import assert from "node:assert/strict";
import { test } from "node:test";
import { fetchArrival, LATE_BECAUSE } from "../lib/announcements";
import { Failure } from "../lib/failure";
import type { Client } from "../lib/project_client";

function ask(data: unknown, error: object | null = null) {
  const reply = { abortSignal: async () => ({ data, error }) };
  const client = { rpc: () => reply } as unknown as Client;
  return fetchArrival(client, "a", new AbortController().signal);
}

test("only what keeps sales back is a reason to say so", async () => {
  for (const state of ["arriving", "none"] as const) {
    assert.equal(await ask({ state, since: null }), state);
    assert.equal(LATE_BECAUSE[state], null);
  }
  for (const state of ["refused", "missing"] as const) {
    assert.equal(await ask({ state, since: null }), state);
    assert.match(LATE_BECAUSE[state] ?? "", /Fanvue/);
  }
});

test("a word that this page does not know is no reason to worry anybody", async () => {
  for (const odd of [{ state: "toString" }, { state: 7 }, {}, null, []]) {
    assert.equal(await ask(odd), null);
  }
});

test("a database that refuses to say is a failure like others", async () => {
  await assert.rejects(ask(null, { code: "42501", message: "not a member" }), Failure);
});
