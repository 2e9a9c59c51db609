import { REST_MS } from "../_shared/cache.ts";
import { assertEquals } from "./assertions.ts";
import { World } from "./stats_world.ts";

const FAILURES: Record<string, () => Response | Promise<Response>> = {
  "is down": () => Promise.reject(new TypeError("connection refused")),
  "refuses the token": () =>
    Response.json({ error: "Unauthorized" }, { status: 401 }),
  "is over its limit": () =>
    Response.json({ error: "ERR max requests limit exceeded" }, {
      status: 400,
    }),
  "answers with a page": () => new Response("<html>"),
  "answers with a list": () => Response.json([]),
  "answers with nested values": () => Response.json({ result: [{}] }),
  "answers with half a text": () => new Response('{"result":"'),
};
for (const [name, failure] of Object.entries(FAILURES)) {
  Deno.test(`a Redis that ${name} is passed by without an error`, async () => {
    const world = new World();
    world.redisFails = failure;

    assertEquals(await world.isolate().look(), ["bypass", "1.00"]);
    assertEquals(world.requestsToRedis, 1);
  });
}

Deno.test("a Redis that does not answer in time is passed by without an error", async () => {
  const world = new World();
  world.redisFails = ({ signal }) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    });

  assertEquals(await world.isolate(1).look(), ["bypass", "1.00"]);
  assertEquals(world.requestsToRedis, 1);
});

Deno.test("without settings of Redis every reading asks the database", async () => {
  const world = new World();
  const isolate = world.bareIsolate();

  assertEquals(await isolate.look(), ["bypass", "1.00"]);
  assertEquals(await isolate.look(), ["bypass", "1.00"]);
  assertEquals(world.requestsToRedis, 0);
});

Deno.test("after a failure Redis is left alone for a while, and then used again", async () => {
  const world = new World();
  const isolate = world.isolate();
  world.redisFails = FAILURES["is down"] ?? null;
  await isolate.look();
  world.redisFails = null;

  world.nowMs += REST_MS - 1;
  assertEquals(await isolate.look(), ["bypass", "1.00"]);
  assertEquals(world.requestsToRedis, 1);

  world.nowMs += 1;
  assertEquals(await isolate.look(), ["miss", "1.00"]);
  assertEquals(await isolate.look(), ["hit", "1.00"]);
});

Deno.test("one request alone finds out whether Redis is back", async () => {
  const world = new World();
  const isolate = world.isolate();
  world.redisFails = FAILURES["is down"] ?? null;
  await isolate.look();
  world.nowMs += REST_MS;

  await Promise.all(Array.from({ length: 10 }, () => isolate.look()));

  assertEquals(world.requestsToRedis, 2);
});

Deno.test("a failure is logged when it begins and when it ends, not in between", async () => {
  const world = new World();
  const isolate = world.isolate();
  world.redisFails = FAILURES["refuses the token"] ?? null;
  for (let round = 0; round < 3; round++) {
    await isolate.look();
    world.nowMs += REST_MS;
  }
  world.redisFails = null;
  await isolate.look();

  assertEquals(world.logged, [
    { event: "cache_away", fields: { error: "Redis answered 401" } },
    { event: "cache_back", fields: {} },
  ]);
});

for (const name of ["is down", "answers with a list"]) {
  Deno.test(`a Redis that ${name} after the computation changes nothing for the reader`, async () => {
    const world = new World();
    world.before("dashboard_stats", () => {
      world.redisFails = FAILURES[name] ?? null;
    });

    assertEquals(await world.isolate().look(), ["bypass", "1.00"]);
  });
}
