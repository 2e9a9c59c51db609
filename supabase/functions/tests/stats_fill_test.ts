import { DatabaseAway, DatabaseRefused } from "../_shared/errors.ts";
import { assert, assertEquals } from "./assertions.ts";
import { AGENCY, Gate, KEY, LOCK, MEMBER, World } from "./stats_world.ts";

const COLLEAGUE = "header.colleague.signature";

Deno.test("many at once in one process share one computation", async () => {
  const world = new World();
  const isolate = world.isolate();

  const answers = await Promise.all(
    Array.from({ length: 50 }, () => isolate.look()),
  );

  assert(answers.every(([word, gross]) => word === "miss" && gross === "1.00"));
  assertEquals(world.computed, 1);
});

Deno.test("they share it without Redis too", async () => {
  const world = new World();
  const isolate = world.bareIsolate();

  const answers = await Promise.all(
    Array.from({ length: 50 }, () => isolate.look()),
  );

  assert(answers.every(([word]) => word === "bypass"));
  assertEquals(world.computed, 1);
});

Deno.test("processes leave a question to the one that has the lock", async () => {
  const world = new World();
  const isolates = Array.from({ length: 8 }, () => world.isolate());

  const answers = await Promise.all(isolates.map((isolate) => isolate.look()));

  assert(answers.every(([word, gross]) => word === "miss" && gross === "1.00"));
  assertEquals(world.computed, 1);
  assertEquals(world.redis.has(LOCK), false);
});

Deno.test("figures that another process kept during a commit are taken when the head agrees", async () => {
  const world = new World();
  world.redis.set(LOCK, "somebody");
  world.before("pause", () => {
    world.sales[AGENCY] = 2;
    world.redis.set(KEY, JSON.stringify(world.kept()));
  });

  assertEquals(await world.isolate().look(), ["miss", "2.00"]);
  assertEquals(world.calls, ["stats_head", "stats_head"]);
});

Deno.test("figures older than the request are not taken from a slow filler", async () => {
  const world = new World();
  const slow = new Gate();
  world.after("dashboard_stats", slow.pass);
  const first = world.isolate().look();
  await slow.arrived;
  world.sales[AGENCY] = 2;

  world.before("pause", async () => {
    slow.open();
    await first;
  });
  const second = await world.isolate().look();

  assertEquals(await first, ["miss", "1.00"]);
  assertEquals(second, ["miss", "2.00"]);
  assertEquals(JSON.parse(world.redis.get(KEY) ?? ""), world.kept());
  assertEquals(world.redis.has(LOCK), false);
  // The lock was tried again at once, not only when patience ended.
  assertEquals(world.nowMs, new World().nowMs + 50);
});

Deno.test("the same holds within one process", async () => {
  const world = new World();
  const isolate = world.isolate();
  const slow = new Gate();
  world.after("dashboard_stats", slow.pass);
  const first = isolate.look();
  await slow.arrived;
  world.sales[AGENCY] = 2;
  const looked = new Gate();
  world.after(`GET ${KEY}`, () => {
    looked.open();
    slow.open();
  });

  const second = await isolate.look();

  assertEquals(await first, ["miss", "1.00"]);
  assertEquals(second, ["miss", "2.00"]);
});

Deno.test("a fill that began before a commit but read after it serves both", async () => {
  const world = new World();
  const isolate = world.isolate();
  const gate = new Gate();
  world.before("dashboard_stats", gate.pass);
  const first = isolate.look();
  await gate.arrived;
  world.sales[AGENCY] = 2;
  world.after(`GET ${KEY}`, gate.open);

  const second = await isolate.look();

  assertEquals([await first, second], [["miss", "2.00"], ["miss", "2.00"]]);
  assertEquals(world.computed, 1);
});

Deno.test("a commit between the heads and the computation costs no second one", async () => {
  const world = new World();
  const isolate = world.isolate();
  world.before("dashboard_stats", () => {
    world.sales[AGENCY] = 2;
  });

  const both = await Promise.all([isolate.look(), isolate.look()]);

  assertEquals(both, [["miss", "2.00"], ["miss", "2.00"]]);
  assertEquals(world.computed, 1);
});

Deno.test("whoever joins an older fill gets the freshness of his own head", async () => {
  const world = new World();
  const isolate = world.isolate();
  const gate = new Gate();
  world.after("dashboard_stats", gate.pass);
  const first = isolate.ask();
  await gate.arrived;
  world.nowMs += 60_000;
  world.after(`GET ${KEY}`, gate.open);

  const stats = await (await isolate.ask()).json();

  assertEquals(stats.as_of, world.moment().as_of);
  assert((await (await first).json()).as_of < stats.as_of);
  assertEquals(world.computed, 1);
});

Deno.test("the head is asked once about figures that are not wanted", async () => {
  const world = new World();
  world.redis.set(LOCK, "somebody");
  world.before("pause", () => {
    world.sales[AGENCY] = 0;
    world.redis.set(KEY, JSON.stringify(world.kept()));
    world.sales[AGENCY] = 2;
  });

  assertEquals(await world.isolate().look(), ["miss", "2.00"]);
  assertEquals(world.calls, ["stats_head", "stats_head", "dashboard_stats"]);
});

Deno.test("a look that crosses the end of a fill does not compute again", async () => {
  const world = new World();
  const isolate = world.isolate();
  const filling = new Gate();
  world.before("dashboard_stats", filling.pass);
  const first = isolate.look();
  await filling.arrived;
  // The second look finds nothing, and is answered when the fill has ended.
  world.after(`GET ${KEY}`, async () => {
    filling.open();
    await first;
  });

  const second = await isolate.look();

  assertEquals(second, ["miss", "1.00"]);
  assertEquals(world.computed, 1);
});

Deno.test("whoever waits in vain computes himself, and keeps what he has", async () => {
  const world = new World();
  world.redis.set(LOCK, "somebody who died");

  assertEquals(await world.isolate().look(), ["miss", "1.00"]);
  assertEquals(world.nowMs, new World().nowMs + 1_000);
  assertEquals(JSON.parse(world.redis.get(KEY) ?? ""), world.kept());
  assertEquals(world.redis.get(LOCK), "somebody who died");
  assert(!world.names.includes("DEL"));
});

for (const stale of [null, "stamp-0"]) {
  const beside = stale === null ? "nothing" : "old figures";
  Deno.test(`a lock that came back with ${beside} is taken at once`, async () => {
    const world = new World();
    if (stale !== null) {
      world.sales[AGENCY] = 0;
      world.redis.set(KEY, JSON.stringify(world.kept()));
      world.sales[AGENCY] = 1;
    }
    const gate = new Gate();
    world.before("dashboard_stats", async () => {
      await gate.pass();
      throw new DatabaseAway("connection reset");
    });
    const first = world.isolate().ask();
    await gate.arrived;
    world.before("pause", async () => {
      gate.open();
      await first;
    });

    const second = await world.isolate().look();

    assertEquals((await first).status, 503);
    assertEquals(second, ["miss", "1.00"]);
    assertEquals(world.nowMs, new World().nowMs + 50);
    assertEquals(world.redis.has(LOCK), false);
  });
}

Deno.test("figures kept between the look and the lock are taken, and the lock goes back", async () => {
  const world = new World();
  world.redis.set(LOCK, "somebody");
  // The last look before the lock: what it sees is from before the fill.
  world.before("pause", () => {
    world.redis.delete(LOCK);
    world.after(`MGET ${KEY}`, () => {
      world.redis.set(KEY, JSON.stringify(world.kept()));
    });
  });

  assertEquals(await world.isolate().look(), ["miss", "1.00"]);
  assertEquals(world.computed, 0);
  assertEquals(world.redis.has(LOCK), false);
});

Deno.test("a Redis that fails while somebody waits is passed by", async () => {
  const world = new World();
  world.redis.set(LOCK, "somebody");
  world.before("pause", () => {
    world.redisFails = () => new Response("", { status: 502 });
  });

  assertEquals(await world.isolate().look(), ["bypass", "1.00"]);
});

for (const [tookMs, stays] of [[3_999, false], [4_000, true]] as const) {
  Deno.test(`a lock that may be another's by now is left alone, after ${tookMs} ms`, async () => {
    const world = new World();
    world.before("dashboard_stats", () => {
      world.nowMs += tookMs;
    });

    assertEquals(await world.isolate().look(), ["miss", "1.00"]);

    // it runs out by itself
    assertEquals(world.redis.has(LOCK), stays);
  });
}

Deno.test("a member who is removed while he waits is refused", async () => {
  const world = new World();
  world.redis.set(LOCK, "somebody");
  world.before("pause", () => {
    world.sales[AGENCY] = 2;
    world.redis.set(KEY, JSON.stringify(world.kept()));
    delete world.members[MEMBER];
  });

  assertEquals((await world.isolate().ask()).status, 403);
});

Deno.test("a refusal of one caller is not handed to those who wait with him", async () => {
  const world = new World();
  world.members[COLLEAGUE] = AGENCY;
  const isolate = world.isolate();
  const gate = new Gate();
  world.before("dashboard_stats", async () => {
    await gate.pass();
    throw new DatabaseRefused(401, "PGRST303");
  });
  const first = isolate.ask();
  await gate.arrived;
  world.after(`GET ${KEY}`, gate.open);

  const second = await isolate.look(COLLEAGUE);

  assertEquals((await first).status, 401);
  assertEquals(second, ["miss", "1.00"]);
});

Deno.test("a database that is away is not asked once more by everybody who waits", async () => {
  const world = new World();
  const isolate = world.isolate();
  world.before("dashboard_stats", () => {
    throw new DatabaseAway("connection reset");
  });

  const answers = await Promise.all(
    Array.from({ length: 20 }, () => isolate.ask()),
  );

  assert(answers.every((answer) => answer.status === 503));
  assertEquals(world.computed, 1);
});

Deno.test("those who share a fill are members each by their own head", async () => {
  const world = new World();
  world.members[COLLEAGUE] = AGENCY;
  const isolate = world.isolate();
  const gate = new Gate();
  world.before("dashboard_stats", gate.pass);
  const first = isolate.look();
  await gate.arrived;

  const stranger = await isolate.ask("header.stranger.signature");
  gate.open();

  assertEquals(stranger.status, 403);
  assertEquals(await first, ["miss", "1.00"]);
});
