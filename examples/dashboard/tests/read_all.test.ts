import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "@supabase/supabase-js";
import type { Database } from "../lib/database_types";
import { fetchHealth, toneOf } from "../lib/health";
import { fetchAgencies, fetchModels } from "../lib/models";
import type { Client } from "../lib/project_client";

type Row = Readonly<Record<string, string | null>>;

const AGENCY = uuid(0);
const STREAMS = ["account", "earnings", "followers", "messages"];
const MORE_STREAMS = ["message_history", "posts", "subscribers", "top_fans"];
const { signal } = new AbortController();

function uuid(number: number): string {
  return `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
}

/** Answers as PostgREST does: filtered, in order, and never more than so many rows. */
class CappedApi {
  requests = 0;
  refusesFrom = Number.POSITIVE_INFINITY;
  readonly client: Client;

  constructor(
    private readonly tables: Readonly<Record<string, readonly Row[]>>,
    private readonly cap: number,
  ) {
    this.client = createClient<Database>("http://project.test", "sb_publishable_x", {
      auth: { persistSession: false, autoRefreshToken: false },
      global: { fetch: async (input) => this.answer(new URL(String(input))) },
    });
  }

  private answer({ pathname, searchParams }: URL): Response {
    this.requests += 1;
    if (this.requests >= this.refusesFrom) {
      return Response.json({ code: "PGRST303", message: "JWT expired" }, { status: 401 });
    }
    const rows = (this.tables[pathname.split("/").at(-1) ?? ""] ?? [])
      .filter((row) => [...searchParams].every(([name, value]) => passes(row, name, value)))
      .toSorted((a, b) => {
        const keys = searchParams.get("order")?.split(",") ?? [];
        return keys.map((key) => compare(a, b, key.replace(/\..*/, ""))).find(Boolean) ?? 0;
      });
    const page = rows.slice(0, this.cap);
    const range = page.length === 0 ? "*" : `0-${page.length - 1}`;
    return Response.json(page, { headers: { "content-range": `${range}/${rows.length}` } });
  }
}

function compare(a: Row, b: Row, key: string): number {
  const [left, right] = [String(a[key]), String(b[key])];
  return left < right ? -1 : Number(left > right);
}

function passes(row: Row, name: string, value: string): boolean {
  if (name === "select" || name === "order") return true;
  if (name === "or") {
    const [, model, type] =
      /^\(model_id\.gt\.(\S+),and\(model_id\.eq\.\1,sync_type\.gt\.(\w+)\)\)$/.exec(value) ?? [];
    assert.ok(model !== undefined && type !== undefined, value);
    return String(row.model_id) > model || (row.model_id === model && String(row.sync_type) > type);
  }
  const [, operator, operand] = /^(eq|gte?)\.(.*)$/.exec(value) ?? [];
  assert.ok(operator !== undefined && operand !== undefined, `${name}=${value}`);
  const order = compare(row, { [name]: operand }, name);
  return operator === "eq" ? order === 0 : operator === "gt" ? order > 0 : order >= 0;
}

function creators(count: number): Row[] {
  return Array.from({ length: count }, (_, place) => ({
    id: uuid(place + 1),
    agency_id: AGENCY,
    handle: place === 0 ? null : `creator_${String(count - place).padStart(4, "0")}`,
  }));
}

function streams(count: number): Row[] {
  return creators(count).flatMap(({ id }, place) =>
    [...STREAMS, ...MORE_STREAMS].map((type) => ({
      agency_id: AGENCY,
      model_id: id ?? null,
      sync_type: type,
      health: place === count - 1 ? "failing" : "fresh",
    })),
  );
}

for (const cap of [1000, 100]) {
  test(`of 300 creators the last one's failing streams are shown; ${cap} rows at once`, async () => {
    const api = new CappedApi({ sync_health: streams(300) }, cap);

    const health = await fetchHealth(api.client, AGENCY, signal);

    assert.equal(new Set(health.map((row) => `${row.model_id} ${row.sync_type}`)).size, 2400);
    const bad = health.filter((row) => toneOf(row.health) === "bad");
    assert.deepEqual(new Set(bad.map((row) => row.model_id)), new Set([uuid(300)]));
    assert.equal(bad.length, 8);
    assert.equal(api.requests, Math.ceil(2400 / cap));
  });
}

test("every creator is listed, by handle, those without one last", async () => {
  const api = new CappedApi({ model_overview: creators(1300) }, 1000);

  const models = await fetchModels(api.client, AGENCY, signal);

  assert.equal(models.length, 1300);
  assert.equal(models[0]?.handle, "creator_0001");
  assert.deepEqual([models.at(-2)?.handle, models.at(-1)?.handle], ["creator_1299", null]);
});

test("every agency is listed by name, in one request where they fit", async () => {
  const agencies = ["Birch", "Amber", "Cedar"].map((name, place) => ({ id: uuid(place), name }));
  const api = new CappedApi({ agencies }, 1000);

  const listed = await fetchAgencies(api.client, signal);

  assert.deepEqual(
    listed.map(({ name }) => name),
    ["Amber", "Birch", "Cedar"],
  );
  assert.equal(api.requests, 1);
});

test("a refusal of a later page is the refusal of all", async () => {
  const api = new CappedApi({ model_overview: creators(9) }, 4);
  api.refusesFrom = 3;

  await assert.rejects(fetchModels(api.client, AGENCY, signal), { code: "PGRST303" });
  assert.equal(api.requests, 3);
});
