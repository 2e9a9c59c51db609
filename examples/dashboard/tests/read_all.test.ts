import assert from "node:assert/strict";
import { test } from "node:test";
import { countOnce, readAll } from "../lib/read_all";

interface Row {
  readonly id: number;
}

/** Rows of which an answer holds at most so many, as the API's limit has it. */
class Cut {
  requests = 0;
  readonly rows: Row[];

  constructor(
    count: number,
    private readonly limit: number,
  ) {
    this.rows = Array.from({ length: count }, (_, id) => ({ id }));
  }

  readonly readPage = async (after: Row | undefined) => {
    this.requests += 1;
    const data = this.rows.filter(({ id }) => id > (after?.id ?? -1)).slice(0, this.limit);
    return { data, error: null, count: countOnce(after).count ? this.rows.length : null };
  };
}

for (const [count, requests] of [
  [0, 1],
  [999, 1],
  [1000, 1],
  [1001, 2],
  [2400, 3],
] as const) {
  test(`${count} rows take ${requests} requests of at most 1,000`, async () => {
    const cut = new Cut(count, 1000);

    assert.deepEqual(await readAll(cut.readPage), cut.rows);
    assert.equal(cut.requests, requests);
  });
}

test("rows that go away meanwhile are not waited for", async () => {
  const cut = new Cut(30, 10);

  const rows = await readAll<Row>(async (after) => {
    const page = await cut.readPage(after);
    if (after === undefined) cut.rows.splice(15);
    return page;
  });

  assert.equal(rows.length, 15);
});

test("a refusal of a later page is the refusal of all", async () => {
  const cut = new Cut(9, 4);
  const refused = { data: null, error: new Error("JWT expired"), count: null };

  const reading = readAll<Row>(async (after) => (after ? refused : await cut.readPage(after)));

  await assert.rejects(reading, /JWT expired/);
  assert.equal(cut.requests, 1);
});
