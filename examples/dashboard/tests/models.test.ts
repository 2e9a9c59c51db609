import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseAgency, type Model, nameOf, waitingAccounts } from "../lib/models";

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

test("creators who wait for one account of their agency are one entry", () => {
  const model = (id: string, connection_id: string | null, status = "reauth_required"): Model => ({
    id,
    connection_id,
    status,
    fanvue_user_uuid: null,
    handle: null,
    display_name: null,
    status_reason: null,
    status_changed_at: null,
  });
  const [a, b, c] = [model("a", "k"), model("b", null), model("c", "k")];

  assert.deepEqual(waitingAccounts([a, b, c, model("d", "k", "active")]), [[a, c], [b]]);
  assert.deepEqual(waitingAccounts([]), []);
});
