import { DatabaseAway, DatabaseRefused } from "../_shared/errors.ts";
import { handle } from "../dashboard-stats/handler.ts";
import { MOST_DAYS, readQuestion } from "../dashboard-stats/question.ts";
import { assert, assertEquals, assertMatch } from "./assertions.ts";
import {
  AGENCY,
  FROM,
  MEMBER,
  OTHER_AGENCY,
  OTHER_MEMBER,
  TO,
  World,
} from "./stats_world.ts";

Deno.test("an answer is the object of SQL, private, and readable for browsers", async () => {
  const world = new World();

  const response = await world.isolate().ask();

  assertEquals(response.status, 200);
  assertEquals(await response.json(), {
    ...world.figures(),
    ...world.moment(),
  });
  assertEquals(response.headers.get("cache-control"), "private, no-store");
  assertEquals(response.headers.get("access-control-allow-origin"), "*");
  assertEquals(
    response.headers.get("access-control-expose-headers"),
    "x-cache",
  );
});

Deno.test("a browser that asks first is answered without a token", async () => {
  const world = new World();

  const response = await world.isolate().ask("", "", { method: "OPTIONS" });

  assertEquals(response.status, 204);
  assertMatch(
    response.headers.get("access-control-allow-headers"),
    /\bauthorization\b.*\bx-known-stamp\b/,
  );
  assertEquals(world.calls, []);
});

for (const method of ["POST", "PUT", "DELETE", "HEAD"]) {
  Deno.test(`${method} is no way to ask`, async () => {
    const world = new World();

    const response = await world.isolate().ask(MEMBER, "", { method });

    assertEquals(response.status, 405);
    assertEquals(response.headers.get("allow"), "GET, OPTIONS");
    assertEquals(world.calls, []);
  });
}

const TOKENLESS: Record<string, Record<string, string>> = {
  "nothing": {},
  "a bare token": { authorization: MEMBER },
  "a key": { authorization: "Bearer sb_publishable_made_up" },
  "another scheme": { authorization: "Basic dTpw" },
};
for (const [name, headers] of Object.entries(TOKENLESS)) {
  Deno.test(`${name} in place of a token is refused before anybody is asked`, async () => {
    const world = new World();

    const response = await world.isolate().ask("", undefined, { headers });

    assertEquals(response.status, 401);
    assertEquals(response.headers.get("www-authenticate"), "Bearer");
    assertEquals([world.calls, world.commands], [[], []]);
  });
}

const BAD: Record<string, string> = {
  "no agency": `from=${FROM}&to=${TO}`,
  "an agency that is no UUID": `agency_id=1%20or%201&from=${FROM}&to=${TO}`,
  "no first day": `agency_id=${AGENCY}&to=${TO}`,
  "no last day": `agency_id=${AGENCY}&from=${FROM}`,
  "a day that does not exist": `agency_id=${AGENCY}&from=2026-02-29&to=${TO}`,
  "a day spelled otherwise": `agency_id=${AGENCY}&from=2026-11-1&to=${TO}`,
  "an instant": `agency_id=${AGENCY}&from=${FROM}T00:00:00Z&to=${TO}`,
  "a year no ledger has": `agency_id=${AGENCY}&from=1969-12-31&to=1970-01-02`,
  "days in reverse": `agency_id=${AGENCY}&from=${TO}&to=${FROM}`,
  "a day too many": `agency_id=${AGENCY}&from=2023-01-01&to=2026-01-05`,
};
for (const [name, query] of Object.entries(BAD)) {
  Deno.test(`${name} is refused before anybody is asked`, async () => {
    const world = new World();

    const response = await world.isolate().ask(MEMBER, query);

    assertEquals(response.status, 400);
    assertEquals(Object.keys(await response.json()), ["error", "hint"]);
    assertEquals([world.calls, world.commands], [[], []]);
  });
}

Deno.test(`a range of exactly ${MOST_DAYS} days is taken`, () => {
  const query = `agency_id=${AGENCY}&from=2023-01-01&to=2026-01-04`;

  const question = readQuestion(new URLSearchParams(query));

  assert(!("error" in question));
});

Deno.test("an agency in capitals is the same agency under the same key", async () => {
  const world = new World();
  const isolate = world.isolate();
  await isolate.look();

  const query = `agency_id=${AGENCY.toUpperCase()}&from=${FROM}&to=${TO}`;
  const response = await isolate.ask(MEMBER, query);

  assertEquals(response.headers.get("x-cache"), "hit");
});

const REFUSALS: Record<string, [Error, number]> = {
  "a token that expired": [new DatabaseRefused(401, "PGRST303"), 401],
  // PostgREST 12 gives an expired token this code too.
  "a token of another project": [new DatabaseRefused(401, "PGRST301"), 401],
  "a key that is no person's token": [new DatabaseRefused(401, "42501"), 401],
  "somebody who is no member": [new DatabaseRefused(403, "42501"), 403],
  "a range that SQL refuses": [new DatabaseRefused(400, "22023"), 400],
  "a refusal nobody expects": [new DatabaseRefused(409, "PT409"), 503],
  "a database that is away": [new DatabaseAway("connection reset"), 503],
};
for (const [name, [error, status]] of Object.entries(REFUSALS)) {
  Deno.test(`${name} is told as ${status}`, async () => {
    const world = new World();
    world.before("stats_head", () => {
      throw error;
    });

    const response = await world.isolate().ask();

    assertEquals(response.status, status);
    assertEquals(Object.keys(await response.json()), ["error", "hint"]);
    assertEquals(response.headers.get("access-control-allow-origin"), "*");
    assertEquals(response.headers.get("cache-control"), "private, no-store");
    assertEquals(world.commands, []);
  });
}

Deno.test("a fault of our own is told without its words", async () => {
  const request = new Request(
    `http://127.0.0.1/dashboard-stats?agency_id=${AGENCY}&from=${FROM}&to=${TO}`,
    { headers: { authorization: `Bearer ${MEMBER}` } },
  );

  const response = await handle(request, {
    read: () => Promise.reject(new TypeError("inner words")),
    log: () => {},
  });

  assertEquals(response.status, 503);
  assert(!(await response.text()).includes("inner"));
});

Deno.test("another agency is refused with the same words, kept or not, there or not", async () => {
  const world = new World();
  const isolate = world.isolate();
  await isolate.look();
  const nowhere = "a9e00000-0000-4000-8000-00000000dead";

  const texts = [];
  for (const id of [AGENCY, nowhere]) {
    const query = `agency_id=${id}&from=${FROM}&to=${TO}`;
    const response = await isolate.ask(OTHER_MEMBER, query);
    assertEquals(response.status, 403);
    assertEquals(response.headers.get("x-cache"), null);
    texts.push(await response.text());
  }

  assertEquals(texts[0], texts[1]);
  assertEquals(
    await (await isolate.ask(
      MEMBER,
      `agency_id=${OTHER_AGENCY}&from=${FROM}&to=${TO}`,
    )).text(),
    texts[0],
  );
});
