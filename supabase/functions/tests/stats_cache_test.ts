import { DatabaseAway } from "../_shared/errors.ts";
import { readCacheSettings } from "../_shared/cache.ts";
import { assert, assertEquals, assertThrows } from "./assertions.ts";
import {
  AGENCY,
  FROM,
  KEY,
  LOCK,
  MEMBER,
  OTHER_AGENCY,
  OTHER_MEMBER,
  RANGES,
  TO,
  World,
} from "./stats_world.ts";

Deno.test("a first reading fills the cache, a second is answered from it by one command", async () => {
  const world = new World();
  const isolate = world.isolate();

  const first = await isolate.look();
  const commands = world.names;
  const second = await isolate.look();

  assertEquals([first, second], [["miss", "1.00"], ["hit", "1.00"]]);
  assertEquals(commands, [
    ...["GET", "SET"],
    ...["SET", "ZADD", "ZREMRANGEBYSCORE", "EXPIRE", "DEL"],
  ]);
  assertEquals(world.names.slice(commands.length), ["GET"]);
  assertEquals(world.computed, 1);
});

Deno.test("after a change figures are replaced where they are, by four commands", async () => {
  const world = new World();
  const isolate = world.isolate();
  await isolate.look();
  world.commands.length = 0;
  world.sales[AGENCY] = 2;
  const ranges = world.redis.get(RANGES);
  world.nowMs += 60_000;

  assertEquals(await isolate.look(), ["miss", "2.00"]);

  assertEquals(world.commands.map((command) => command.toSpliced(2, 1)), [
    ["GET", KEY],
    ["SET", LOCK, "NX", "PX", "5000"],
    ["SET", KEY, "XX", "KEEPTTL"],
    ["DEL", LOCK],
  ]);
  assertEquals(world.ttl.get(KEY), "EX 750");
  assertEquals(world.redis.get(RANGES), ranges);
});

Deno.test("figures that ran out before they could be replaced are kept as new ones", async () => {
  const world = new World();
  const isolate = world.isolate();
  await isolate.look();
  world.sales[AGENCY] = 2;
  world.redis.delete(RANGES);
  world.before("dashboard_stats", () => world.redis.delete(KEY));

  assertEquals(await isolate.look(), ["miss", "2.00"]);

  assertEquals(JSON.parse(world.redis.get(KEY) ?? ""), world.kept());
  assertEquals(world.redis.get(RANGES), `1800000000 ${FROM}:${TO}`);
  assertEquals(world.redis.has(LOCK), false);
});

Deno.test("who has the figures is told that they stand, without a command", async () => {
  const world = new World();
  const isolate = world.isolate();
  const knowing = (stamp: string, token = MEMBER): Promise<Response> =>
    isolate.ask(token, undefined, {
      headers: { authorization: `Bearer ${token}`, "x-known-stamp": stamp },
    });

  const same = await knowing(world.stamp());

  assertEquals(same.headers.get("x-cache"), "unchanged");
  const moment = world.moment();
  assertEquals(await same.json(), {
    unchanged: true,
    stamp: world.stamp(),
    ...moment,
  });
  assertEquals(world.requestsToRedis, 0);
  assertEquals(world.calls, ["stats_head"]);
  const other = await knowing("stamp-0");
  assertEquals((await other.json()).totals.gross, "1.00");
  // a stranger learns nothing of a stamp
  const strange = await knowing(world.stamp(), OTHER_MEMBER);
  assertEquals(strange.status, 403);
});

for (
  const [accepts, coding] of [
    ["gzip, deflate, br", "gzip"],
    ["br;q=1, gzip;q=0.5", "gzip"],
    ["gzip;q=0, br", null],
    ["br", null],
  ] as const
) {
  Deno.test(`to whoever accepts ${accepts} figures go as ${coding ?? "they are"}`, async () => {
    const world = new World();
    const figures = world.figures.bind(world);
    const days = Array.from({ length: 200 }, (_, day) => ({ day, gross: "0" }));
    world.figures = () => ({ ...figures(), by_day: days });
    const headers = {
      authorization: "Bearer header.member.signature",
      "accept-encoding": accepts,
    };

    const response = await world.isolate().ask(undefined, undefined, {
      headers,
    });

    assertEquals(response.headers.get("content-encoding"), coding);
    assertEquals(response.headers.get("vary"), "accept-encoding");
    const sent = new Uint8Array(await response.arrayBuffer());
    const text = coding === null
      ? new TextDecoder().decode(sent)
      : await new Response(
        new Blob([sent]).stream().pipeThrough(new DecompressionStream("gzip")),
      ).text();
    assertEquals(JSON.parse(text).by_day, days);
    if (coding !== null) assert(sent.length * 4 < text.length);
  });
}

Deno.test("who waits for a slow computation asks Redis a few times, and for no lock that is held", async () => {
  const world = new World();
  world.redis.set(LOCK, "somebody");

  assertEquals(await world.isolate().look(), ["miss", "1.00"]);

  assertEquals(world.names, [
    ...["GET", "SET"],
    ...Array.from({ length: 7 }, () => "MGET"),
    ...["SET", "ZADD", "ZREMRANGEBYSCORE", "EXPIRE"],
  ]);
});

Deno.test("what is kept is what the worker expects: stamp and stats, and nothing of a moment", async () => {
  const world = new World();

  await world.isolate().look();

  assertEquals(JSON.parse(world.redis.get(KEY) ?? ""), world.kept());
  assertEquals(world.ttl.get(KEY), "EX 750");
  assertEquals(world.redis.get(RANGES), `1800000000 ${FROM}:${TO}`);
  assertEquals(world.ttl.get(RANGES), "EX 86400");
  assertEquals(world.redis.has(LOCK), false);
  assert(
    world.commands.some((command) =>
      command.join(" ") === `SET ${LOCK} 1 NX PX 5000`
    ),
  );
});

Deno.test("a hit carries the freshness of its own moment", async () => {
  const world = new World();
  const isolate = world.isolate();
  await isolate.look();
  world.nowMs += 60_000;

  const stats = await (await isolate.ask()).json();

  assertEquals(stats, { ...world.figures(), ...world.moment() });
});

Deno.test("a commit shows at the next reading", async () => {
  const world = new World();
  const isolate = world.isolate();
  await isolate.look();
  world.sales[AGENCY] = 2;

  assertEquals(await isolate.look(), ["miss", "2.00"]);
  assertEquals(await isolate.look(), ["hit", "2.00"]);
});

Deno.test("figures that the worker put there are a hit", async () => {
  const world = new World();
  world.redis.set(KEY, JSON.stringify(world.kept()));

  assertEquals(await world.isolate().look(), ["hit", "1.00"]);
});

const { stats: _, ...noStats } = new World().kept();
const POISON: Record<string, (world: World) => unknown> = {
  "no JSON": () => "{",
  "a bare text": () => '"stamp-1"',
  "nothing": () => "null",
  "an empty text": () => "",
  "a list": (world) => [world.kept()],
  "no figures": () => noStats,
  "figures in a list": (world) => ({ stamp: world.stamp(), stats: [] }),
  "another stamp": (world) => ({ ...world.kept(), stamp: "stamp-0" }),
  "another stamp inside": (world) => ({
    ...world.kept(),
    stats: { ...world.figures(), stamp: "stamp-0" },
  }),
  "a number as a stamp": (world) => ({ ...world.kept(), stamp: 1 }),
  "another agency's figures": (world) => world.kept(OTHER_AGENCY),
  "another agency's figures under our stamp": (world) => ({
    stamp: world.stamp(),
    stats: { ...world.figures(OTHER_AGENCY), stamp: world.stamp() },
  }),
  "figures of other days": (world) => ({
    ...world.kept(),
    stats: { ...world.figures(), from: "2026-10-01" },
  }),
  "figures without totals": (world) => ({
    ...world.kept(),
    stats: { ...world.figures(), totals: null },
  }),
  "figures without days": (world) => ({
    ...world.kept(),
    stats: { ...world.figures(), by_day: {} },
  }),
};
for (const [name, poison] of Object.entries(POISON)) {
  Deno.test(`${name} under a key reaches nobody, and is replaced`, async () => {
    const world = new World();
    const value = poison(world);
    world.redis.set(
      KEY,
      typeof value === "string" ? value : JSON.stringify(value),
    );

    assertEquals(await world.isolate().look(), ["miss", "1.00"]);
    assertEquals(JSON.parse(world.redis.get(KEY) ?? ""), world.kept());
  });
}

Deno.test("a key that holds no text is replaced, and Redis is not given up", async () => {
  const world = new World();
  const isolate = world.isolate();
  world.redisFails = () => {
    world.redisFails = null;
    return Response.json({ error: "WRONGTYPE Operation against a key" }, {
      status: 400,
    });
  };

  assertEquals(await isolate.look(), ["miss", "1.00"]);
  assertEquals(await isolate.look(), ["hit", "1.00"]);
});

Deno.test("agencies share nothing", async () => {
  const world = new World();
  const isolate = world.isolate();
  const query = `agency_id=${OTHER_AGENCY}&from=${FROM}&to=${TO}`;

  const [own, other] = await Promise.all([
    isolate.look(),
    isolate.ask(OTHER_MEMBER, query).then((response) => response.json()),
  ]);

  assertEquals(own, ["miss", "1.00"]);
  assertEquals(other.totals.gross, "70.00");
  assert(
    world.commands.every((command) =>
      command.some((part) => part.includes(AGENCY)) !==
        command.some((part) => part.includes(OTHER_AGENCY))
    ),
  );
});

Deno.test("ranges that nobody read for as long as a value lives are forgotten", async () => {
  const world = new World();
  const nowSeconds = world.nowMs / 1000;
  const still = `${nowSeconds - 900} 2026-10-01:2026-10-31`;
  world.redis.set(
    RANGES,
    `${nowSeconds - 901} 2026-09-01:2026-09-30\n${still}`,
  );

  await world.isolate().look();

  assertEquals(
    world.redis.get(RANGES),
    `${still}\n${nowSeconds} ${FROM}:${TO}`,
  );
});

Deno.test("a filler whose database fails gives the lock back", async () => {
  const world = new World();
  world.before("dashboard_stats", () => {
    throw new DatabaseAway("connection reset");
  });

  const response = await world.isolate().ask();

  assertEquals(response.status, 503);
  assertEquals(world.redis.has(LOCK), false);
});

Deno.test("an answer of the database about something else is no answer", async () => {
  const world = new World();
  const figures = world.figures.bind(world);
  world.figures = () => ({ ...figures(), to: "2026-12-01" });

  assertEquals((await world.isolate().ask()).status, 503);
  assertEquals(world.redis.size, 0);
});

Deno.test("settings of Redis come both or not at all", async () => {
  const names = {
    url: "UPSTASH_REDIS_REST_URL",
    token: "UPSTASH_REDIS_REST_TOKEN",
  };
  const read = (env: Record<string, string>): unknown =>
    readCacheSettings((name) => env[name]);
  const url = "https://redis.example.test";

  assertEquals(read({}), null);
  assertEquals(read({ [names.url]: " ", [names.token]: "" }), null);
  assertEquals(read({ [names.url]: `${url}/`, [names.token]: "t" }), {
    url,
    token: "t",
  });
  await assertThrows(() => read({ [names.url]: url }), Error);
  await assertThrows(() => read({ [names.token]: "t" }), Error);
});
