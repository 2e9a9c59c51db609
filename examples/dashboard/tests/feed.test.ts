import assert from "node:assert/strict";
import { test } from "node:test";
import {
  appendOlder,
  arrivals,
  type Feed,
  LONGEST,
  mergeHead,
  mergeSome,
  PAGE,
  type Sale,
} from "../lib/feed";
import { reaches, readHint } from "../lib/hints";

const START = Date.parse("2026-11-23T00:00:00Z");

/** The sale of a minute; a later minute is newer. */
function sale(minute: number, amount = "5.00"): Sale {
  return {
    id: String(minute).padStart(8, "0"),
    model_id: "m",
    fanvue_id: `f${minute}`,
    amount,
    category: "tip",
    status: null,
    fan_handle: null,
    origin: "api",
    sent_minor_units: null,
    sent_currency: null,
    fanvue_created_at: new Date(START + minute * 60_000).toISOString(),
  };
}

/** Sales from a minute down to another, newest first. */
function sales(newest: number, oldest: number): Sale[] {
  return Array.from({ length: newest - oldest + 1 }, (_, place) => sale(newest - place));
}

function minutes(feed: Feed): number[] {
  return feed.rows.map(({ id }) => Number(id));
}

test("a fresh page goes before the older rows, and none is doubled", () => {
  const shown: Feed = { rows: sales(200, 101), hasMore: true };
  const merged = mergeHead(shown, sales(203, 154));
  assert.deepEqual(minutes(merged), minutes({ rows: sales(203, 101), hasMore: true }));
  assert.equal(merged.hasMore, true);
});

test("some creators' rows are replaced where they are, and nobody else's", () => {
  const by = (rows: Sale[], model: string) => rows.map((row) => ({ ...row, model_id: model }));
  const shown: Feed = { rows: [...sales(200, 181), ...by(sales(180, 101), "n")], hasMore: true };

  const merged = mergeSome(shown, ["m"], [sale(201), { ...sale(200), amount: "-1.00" }]);

  // of the newest page of fifty; what lies below is not asked for
  assert.deepEqual(minutes(merged), [
    201,
    200,
    ...minutes({ rows: sales(180, 101), hasMore: true }),
  ]);
  assert.equal(merged.rows[1]?.amount, "-1.00");
  assert.equal(merged.hasMore, true);
  const below = mergeSome(shown, ["n"], by(sales(180, 151), "n"));
  assert.deepEqual(minutes(below), minutes(shown));
  // all there is, is on the page
  const few = mergeSome({ rows: sales(5, 1), hasMore: false }, ["m"], sales(6, 4));
  assert.deepEqual(minutes(few), [6, 5, 4]);
  const long = mergeSome(
    { rows: sales(600, 101), hasMore: false },
    ["n"],
    by(sales(601, 601), "n"),
  );
  assert.equal(long.rows.length, LONGEST);
  assert.equal(long.hasMore, true);
});

test("a row that changed or vanished within the page does so on screen", () => {
  const shown: Feed = { rows: sales(100, 51), hasMore: true };
  const head = [...sales(101, 51).filter(({ id }) => id !== sale(90).id)];
  head[5] = { ...sale(96), amount: "-1.00" };
  const merged = mergeHead(shown, head);
  assert.equal(merged.rows.find(({ id }) => id === sale(96).id)?.amount, "-1.00");
  assert.ok(!merged.rows.some(({ id }) => id === sale(90).id));
});

test("more new rows than a page holds leave no gap: the older ones are loaded again", () => {
  const merged = mergeHead({ rows: sales(100, 51), hasMore: true }, sales(300, 251));
  assert.deepEqual(minutes(merged), minutes({ rows: sales(300, 251), hasMore: true }));
  assert.equal(merged.hasMore, true);
});

test("a feed that is long drops a row at the end for each new one", () => {
  const merged = mergeHead({ rows: sales(600, 101), hasMore: false }, sales(603, 554));
  assert.equal(merged.rows.length, LONGEST);
  assert.equal(merged.rows.at(-1)?.id, sale(104).id);
  assert.equal(merged.hasMore, true);
});

test("a page that is not full is all there is", () => {
  const merged = mergeHead({ rows: sales(100, 1), hasMore: true }, sales(3, 1));
  assert.deepEqual([merged.rows.length, merged.hasMore], [3, false]);
  assert.equal(sales(PAGE, 1).length, PAGE);
});

test("an older page keeps what a push brought meanwhile", () => {
  const grown: Feed = { rows: sales(103, 51), hasMore: true };
  const merged = appendOlder(grown, { rows: sales(50, 1), hasMore: false });
  assert.deepEqual(minutes(merged), minutes({ rows: sales(103, 1), hasMore: false }));
  assert.equal(merged.hasMore, false);
});

test("rows within one millisecond keep the database's order", () => {
  const at = (fraction: string, id: string) => ({
    ...sale(1),
    id,
    fanvue_created_at: `2026-11-23T00:00:00${fraction}+00:00`,
  });
  const rows = [
    at(".123456", "a"),
    at(".1234", "z"),
    at(".123", "c"),
    at(".123", "b"),
    at("", "x"),
  ];
  const merged = appendOlder(
    { rows: rows.slice(0, 1), hasMore: true },
    { rows: rows.slice(1), hasMore: false },
  );
  assert.deepEqual(merged.rows, rows);
});

test("arrivals are the rows at the top, not those that were loaded below", () => {
  const before: Feed = { rows: sales(100, 51), hasMore: true };
  assert.deepEqual(
    arrivals(before, { rows: sales(102, 51), hasMore: true }).map(({ fanvue_id: name }) => name),
    ["f102", "f101"],
  );
  assert.deepEqual(arrivals(before, { rows: sales(100, 1), hasMore: false }), []);
  assert.equal(
    arrivals({ rows: [], hasMore: false }, { rows: sales(1, 1), hasMore: false }).length,
    1,
  );
});

test("a hint is read in each of its three shapes", () => {
  const one = readHint("transactions", { model_id: "a", changed: ["transactions", "job"] });
  assert.deepEqual([one.items.length, one.changed.has("job"), one.many], [1, true, false]);
  const some = readHint("job", { items: [{ model_id: "a" }, { model_id: "b" }], changed: ["job"] });
  assert.equal(some.items.length, 2);
  assert.equal(readHint("job", { items: [], many: true, changed: ["job"] }).many, true);
  assert.ok(readHint("model", "nonsense").changed.has("model"));
});

test("history that lies before all that is shown concerns nobody", () => {
  const oldest = "2026-11-20T00:00:00Z";
  const hint = (latest?: string) => readHint("transactions", { model_id: "a", latest_at: latest });
  assert.equal(reaches(hint("2026-11-19T23:59:59Z"), oldest), false);
  assert.equal(reaches(hint("2026-11-20T00:00:00Z"), oldest), true);
  assert.equal(reaches(hint(), oldest), true);
  assert.equal(reaches(hint("2020-01-01T00:00:00Z"), null), true);
});
