import assert from "node:assert/strict";
import { test } from "node:test";
import { moneyAxis } from "../lib/axis";

test("marks are round and reach over the highest value", () => {
  assert.deepEqual(moneyAxis(0, 730), { domain: [0, 800], ticks: [0, 200, 400, 600, 800] });
});

test("a small refund takes little room", () => {
  assert.deepEqual(moneyAxis(-9, 730), { domain: [-9, 800], ticks: [-0, 200, 400, 600, 800] });
});

test("losses alone have marks as well", () => {
  const { domain, ticks } = moneyAxis(-730, 0);
  assert.deepEqual(domain, [-730, 0]);
  assert.deepEqual(ticks.map(Math.abs), [600, 400, 200, 0]);
});

test("nothing at all still makes an axis", () => {
  const { domain, ticks } = moneyAxis(0, 0);
  assert.ok(domain[1] > 0 && ticks.length > 1);
});
