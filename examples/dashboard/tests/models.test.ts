import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseAgency, type Model, nameOf, sayConnected, waitingAccounts } from "../lib/models";

const [A, B] = [
  { id: "a", name: "Amber" },
  { id: "b", name: "Birch" },
];

test("the agency that is asked for comes first, then the one on screen, then any", () => {
  assert.equal(chooseAgency([A, B], "b", A)?.agency, B);
  assert.equal(chooseAgency([A, B], "another's", B)?.agency, B);
  assert.equal(chooseAgency([A, B], null, null)?.agency, A);
  assert.equal(chooseAgency([], "a", null), null);
});

test("an agency that was left stays named, and no other takes its place unasked", () => {
  assert.deepEqual(chooseAgency([B], "a", A), { agency: A, isLost: true });
  assert.deepEqual(chooseAgency([], null, A), { agency: A, isLost: true });
  assert.deepEqual(chooseAgency([B], "b", A), { agency: B, isLost: false });
});

test("a creator is called by the best name that is known", () => {
  const unread = {
    display_name: null,
    handle: null,
    fanvue_user_uuid: "0f3c2a91-7d1e-4a52-9a55-0c1f6f1d2e3b",
  };
  assert.equal(nameOf({ ...unread, handle: "nova", display_name: "Nova" }), "Nova");
  assert.equal(nameOf({ ...unread, handle: "nova" }), "@nova");
  assert.equal(nameOf({ ...unread, handle: "nova", display_name: "  " }), "@nova");
  assert.equal(nameOf({ ...unread, handle: " ", display_name: "" }), "New creator 0f3c2a91");
  assert.equal(nameOf(unread), "New creator 0f3c2a91");
  assert.equal(nameOf({ ...unread, fanvue_user_uuid: null }), "New creator");
  assert.equal(nameOf(undefined), "A creator");
});

const model = (id: string, given: Partial<Model> = {}): Model => ({
  id,
  connection_id: null,
  status: "active",
  fanvue_user_uuid: null,
  handle: id,
  display_name: null,
  status_reason: null,
  status_changed_at: null,
  reason_code: null,
  connected_at: "2026-01-01T00:00:00Z",
  ...given,
});

test("creators who wait for one account of their agency are one entry", () => {
  const waits = (id: string, connection_id: string | null) =>
    model(id, { connection_id, status: "reauth_required" });
  const [a, b, c] = [waits("a", "k"), waits("b", null), waits("c", "k")];

  assert.deepEqual(waitingAccounts([a, b, c, model("d", { connection_id: "k" })]), [[a, c], [b]]);
  assert.deepEqual(waitingAccounts([]), []);
});

test("an address says connected of what the data says is connected, and of nothing else", () => {
  const models = [
    model("new"),
    model("refused", { status: "reauth_required" }),
    model("connecting", { status: "paused", reason_code: "connecting", connected_at: null }),
    model("left", { status: "paused", reason_code: "disconnected" }),
    model("held", { status: "paused", reason_code: "paused" }),
    model("one", { connection_id: "account" }),
    model("two", { connection_id: "account" }),
    model("three", { connection_id: "dead", status: "reauth_required" }),
  ];

  assert.deepEqual(sayConnected(models, "new"), { name: "@new", words: "is connected." });
  assert.match(sayConnected(models, "held")?.words ?? "", /stays paused/);
  assert.match(sayConnected(models, "account")?.words ?? "", /2 creators are read/);
  for (const id of ["anything", "", "refused", "connecting", "left", "dead"]) {
    assert.equal(sayConnected(models, id), null, id);
  }
});
