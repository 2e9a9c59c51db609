import { Misfits } from "../dashboard-stats/misfits.ts";
import { assert, assertEquals } from "./assertions.ts";
import {
  AGENCY,
  FROM,
  Gate,
  KEY,
  LOCK,
  OTHER_AGENCY,
  OTHER_MEMBER,
  RANGES,
  TO,
  World,
} from "./stats_world.ts";

const MINUTE_MS = 60_000;
const OTHERS = `agency_id=${OTHER_AGENCY}&from=${FROM}&to=${TO}`;

/** Names creators of one agency by this text. */
function name(world: World, text: string, whose = AGENCY): void {
  const figures = World.prototype.figures.bind(world);
  world.figures = (agencyId = AGENCY) => ({
    ...figures(agencyId),
    by_model: agencyId === whose ? [text] : [],
  });
}

const TOO_LONG = "x".repeat(1_000_000);

Deno.test("figures too long for a small plan are computed each time", async () => {
  const world = new World();
  const isolate = world.isolate();
  name(world, TOO_LONG);

  assertEquals(await isolate.look(), ["miss", "1.00"]);
  assertEquals(await isolate.look(), ["miss", "1.00"]);
  assertEquals(world.redis.size, 0);
});

const MEASURES: Record<string, [text: string, isKept: boolean]> = {
  "letters just below a megabyte": ["x".repeat(990_000), true],
  "letters just above it": ["x".repeat(1_000_000), false],
  // A quote within a value within a command takes four bytes.
  "quotes that fit when escaped": ['"'.repeat(240_000), true],
  "quotes that fit only before": ['"'.repeat(260_000), false],
  "signs of three bytes that fit": ["\u20ac".repeat(330_000), true],
  "signs of three bytes that do not": ["\u20ac".repeat(340_000), false],
};
for (const [what, [text, isKept]] of Object.entries(MEASURES)) {
  Deno.test(`what counts is the request as it is sent: ${what}`, async () => {
    const world = new World();
    let largest = 0;
    world.measured = (bytes) => largest = Math.max(largest, bytes);
    name(world, text);

    assertEquals(await world.isolate().look(), ["miss", "1.00"]);

    assertEquals(world.redis.has(KEY), isKept);
    assertEquals(largest > 900_000, isKept);
    assert(largest <= 1_000_000);
  });
}

Deno.test("nobody takes a lock for figures that were too long last time", async () => {
  const world = new World();
  const isolate = world.isolate();
  name(world, TOO_LONG);
  await isolate.look();
  const before = world.commands.length;

  assertEquals(await isolate.look(), ["miss", "1.00"]);
  assertEquals(world.names.slice(before), ["GET"]);
});

Deno.test("nobody waits for figures that were too long last time", async () => {
  const world = new World();
  const isolate = world.isolate();
  name(world, TOO_LONG);
  await isolate.look();
  world.redis.set(LOCK, "somebody");

  assertEquals(await isolate.look(), ["miss", "1.00"]);
  assertEquals(world.nowMs, new World().nowMs);
});

Deno.test("who waits for figures that prove too long gets the lock at once", async () => {
  const world = new World();
  name(world, TOO_LONG);
  const gate = new Gate();
  world.before("dashboard_stats", gate.pass);
  const first = world.isolate().look();
  await gate.arrived;
  world.before("pause", async () => {
    gate.open();
    await first;
  });

  assertEquals(await world.isolate().look(), ["miss", "1.00"]);
  assertEquals(world.nowMs, new World().nowMs + 50);
  assertEquals(world.redis.has(LOCK), false);
});

Deno.test("figures that became shorter are kept again, and locked for", async () => {
  const world = new World();
  const isolate = world.isolate();
  name(world, TOO_LONG);
  await isolate.look();
  name(world, "x");

  assertEquals(await isolate.look(), ["miss", "1.00"]);
  assertEquals(await isolate.look(), ["hit", "1.00"]);

  const before = world.commands.length;
  world.sales[AGENCY] = 2;
  assertEquals(await isolate.look(), ["miss", "2.00"]);
  assertEquals(world.commands[before + 1]?.[1], LOCK);
});

Deno.test("what was too long is forgotten after five minutes", async () => {
  const world = new World();
  const isolate = world.isolate();
  name(world, TOO_LONG);
  await isolate.look();
  const locks = (): number =>
    world.commands.filter(([command, key]) => command === "SET" && key === LOCK)
      .length;

  world.nowMs += 5 * MINUTE_MS - 1;
  await isolate.look();
  assertEquals(locks(), 1);

  world.nowMs += 1;
  await isolate.look();
  assertEquals(locks(), 2);
});

const REFUSED = "ERR max request size exceeded. Limit: 8 bytes, Actual: 9";
const REFUSALS: Record<string, (count: number) => Response> = {
  "by its status": () => new Response("<html>", { status: 413 }),
  "as a whole": () => Response.json({ error: REFUSED }, { status: 400 }),
  "by one command": (count) =>
    Response.json(
      Array.from({ length: count }, (_, index) =>
        index === 0 ? { error: REFUSED } : { result: 1 }),
    ),
  "as a record": () =>
    Response.json({ error: "ERR max single record size exceeded" }, {
      status: 400,
    }),
};
for (const [how, refusal] of Object.entries(REFUSALS)) {
  Deno.test(`a refusal for length, said ${how}, is nobody else's matter`, async () => {
    const world = new World();
    const isolate = world.isolate();
    name(world, "x".repeat(50_000));
    world.refusesAbove(10_000, refusal);

    assertEquals(await isolate.look(), ["miss", "1.00"]);
    assertEquals(world.redis.size, 0);
    const other = await isolate.ask(OTHER_MEMBER, OTHERS);
    assertEquals(other.headers.get("x-cache"), "miss");
    const again = await isolate.ask(OTHER_MEMBER, OTHERS);
    assertEquals(again.headers.get("x-cache"), "hit");
    assertEquals(world.logged, []);
  });

  Deno.test(`what was refused for length ${how} is not sent again`, async () => {
    const world = new World();
    const isolate = world.isolate();
    name(world, "x".repeat(50_000));
    const refused = world.refusesAbove(10_000, refusal);

    await isolate.look();
    assertEquals(await isolate.look(), ["miss", "1.00"]);

    assertEquals(refused(), 1);
  });
}

Deno.test("a value too long to be read is computed, and Redis is not given up", async () => {
  const world = new World();
  const isolate = world.isolate();
  name(world, "x".repeat(5_000_000));
  world.redis.set(KEY, JSON.stringify(world.kept()));

  assertEquals(await isolate.look(), ["miss", "1.00"]);
  const other = await isolate.ask(OTHER_MEMBER, OTHERS);
  assertEquals(other.headers.get("x-cache"), "miss");
  assertEquals(world.logged, []);
});

Deno.test("a refusal for length says that Redis is back", async () => {
  const world = new World();
  const isolate = world.isolate();
  world.redisFails = () => new Response("", { status: 502 });
  await isolate.look();
  world.redisFails = () => new Response("", { status: 413 });
  world.nowMs += MINUTE_MS;

  await isolate.look();

  assertEquals(world.logged.map(({ event }) => event), [
    "cache_away",
    "cache_back",
  ]);
  assertEquals(world.redis.has(RANGES), false);
});

Deno.test("of a thousand questions the oldest is forgotten first", () => {
  const misfits = new Misfits(() => 0);

  for (let number = 0; number <= 1_000; number++) misfits.add(`${number}`, 1);

  assertEquals(["0", "1", "1000"].map((key) => misfits.has(key)), [
    false,
    true,
    true,
  ]);
});
