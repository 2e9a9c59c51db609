import assert from "node:assert/strict";
import { test } from "node:test";
import { countDays, customProblem, presetPeriod, readPeriod } from "../lib/period";

const NOON = Date.parse("2026-03-01T12:00:00Z");

test("presets are whole UTC days that end today", () => {
  assert.deepEqual(presetPeriod("today", NOON), {
    choice: "today",
    from: "2026-03-01",
    to: "2026-03-01",
  });
  assert.equal(presetPeriod("7d", NOON).from, "2026-02-23");
  assert.equal(presetPeriod("month", NOON).from, "2026-03-01");
  const month = presetPeriod("30d", NOON);
  assert.equal(countDays(month.from, month.to), 30);
});

test("a day begins at midnight UTC, not at the reader's", () => {
  assert.equal(presetPeriod("today", Date.parse("2026-03-01T23:59:59.999Z")).to, "2026-03-01");
  assert.equal(presetPeriod("today", Date.parse("2026-03-02T00:00:00Z")).to, "2026-03-02");
});

test("odd days are refused with what to do", () => {
  assert.match(customProblem("", "2026-03-01") ?? "", /both/);
  assert.match(customProblem("2026-03-02", "2026-03-01") ?? "", /not be after/);
  assert.match(customProblem("2020-01-01", "2026-03-01") ?? "", /at most/);
  assert.equal(customProblem("2026-02-01", "2026-03-01"), null);
});

test("the address names the period, and nonsense in it is the last thirty days", () => {
  const read = (query: string) => readPeriod(new URLSearchParams(query), NOON);
  assert.equal(read("period=90d").choice, "90d");
  assert.equal(read("period=custom&from=2026-01-01&to=2026-01-31").to, "2026-01-31");
  for (const query of [
    "",
    "period=x",
    "period=custom",
    "period=custom&from=2026-13-01&to=2026-01-01",
  ]) {
    assert.equal(read(query).choice, "30d", query);
  }
});
