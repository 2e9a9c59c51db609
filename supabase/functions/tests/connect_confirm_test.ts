import { hashNonce } from "../fanvue-connect/consent.ts";
import { assert, assertEquals, assertMatch } from "./assertions.ts";
import {
  CODE,
  DASHBOARD,
  LOST,
  refusal,
  STORING,
  World,
} from "./connect_world.ts";

const OTHER_BROWSERS: Record<string, { cookie?: string; nonce?: string }> = {
  "no cookie": { cookie: "" },
  "a cookie of somebody else": {
    cookie: `__Host-fanvue-connect-0123456789abcdef=${"a".repeat(43)}`,
  },
  "another nonce": { nonce: "b".repeat(43) },
};
for (const [name, changes] of Object.entries(OTHER_BROWSERS)) {
  Deno.test(`another browser confirms nothing: ${name}`, async () => {
    const world = new World();
    const back = await world.connect();

    const response = await world.confirm(back, changes);

    assertEquals(response.status, 403);
    assertMatch(await response.text(), /another browser/);
    assertEquals(world.order, []);
  });
}

Deno.test("a cookie with a made-up secret confirms nothing", async () => {
  const world = new World();
  const back = await world.connect();
  const name = back.headers.get("set-cookie")?.split("=")[0];

  const response = await world.confirm(back, {
    cookie: `${name}=${"a".repeat(43)}`,
  });

  assertEquals(response.status, 403);
  assertEquals(world.order, ["confirm_connection"]);
});

for (const byLink of [false, true]) {
  Deno.test(`a no throws away what was granted (link: ${byLink})`, async () => {
    const world = new World();
    const back = await world.connect("&return_to=/team");
    world.instead.decline_connection = [
      LOST,
      () => ({ by_link: byLink, return_to: byLink ? null : "/team" }),
    ];

    const response = await world.confirm(back, { answer: "no", token: "" });

    assertEquals(world.order, ["decline_connection", "decline_connection"]);
    assertEquals(
      world.body("decline_connection").p_browser_hash,
      world.browserHash,
    );
    assertMatch(response.headers.get("set-cookie") ?? "", /Max-Age=0/);
    if (byLink) assertMatch(await response.text(), /You declined/);
    else {
      assertEquals(response.status, 303);
      assertEquals(response.headers.get("location"), `${DASHBOARD}/team`);
    }
  });
}

for (
  const [status, page] of [
    [404, /no longer open/],
    [412, /another browser/],
  ] as const
) {
  Deno.test(`a no that is refused with ${status} says so`, async () => {
    const world = new World();
    const back = await world.connect();
    world.instead.decline_connection = [() => refusal(status)];

    const response = await world.confirm(back, { answer: "no" });

    assertMatch(await response.text(), page);
  });
}

Deno.test("without the cookie nothing is thrown away", async () => {
  const world = new World();
  const back = await world.connect();

  const response = await world.confirm(back, { answer: "no", cookie: "" });

  assertMatch(await response.text(), /another browser/);
  assertEquals(world.order, []);
});

Deno.test("a button that is pressed twice stores once", async () => {
  const world = new World();
  const back = await world.connect();
  world.instead.confirmed_connection = [() => Response.json(null)];

  const response = await world.confirm(back);

  assertMatch(await response.text(), /no longer open/);
  assertEquals(world.order, STORING.slice(0, 2));
});

// Links ----------------------------------------------------------------------------------------

const LINK = "d".repeat(64);

Deno.test("whoever holds a link goes to Fanvue and back without signing in", async () => {
  const world = new World();

  const begun = await world.get(`/start?invitation=${LINK}`);

  assertEquals(begun.status, 302);
  assertEquals(world.order, ["begin_linked_connection"]);
  const { p_link_hash } = world.body("begin_linked_connection");
  assertEquals(p_link_hash, await hashNonce(LINK));
  assert(!JSON.stringify(world.logged).includes(LINK));
  const url = new URL(begun.headers.get("location") ?? "");
  world.challenge = url.searchParams.get("code_challenge") ?? "";
  const state = url.searchParams.get("state");
  const back = await world.get(`/callback?code=${CODE}&state=${state}`);
  const response = await world.confirm(back, { token: "" });
  assertEquals(response.status, 200);
  assertMatch(await response.text(), /<h1>Connected<\/h1>/);
  assertEquals(world.order, [
    "confirm_linked_connection",
    ...STORING.slice(1),
  ]);
});

Deno.test("a session that ended does not keep the holder of a link out", async () => {
  const world = new World();
  const back = await world.connect();
  world.instead.confirm_connection = [() => refusal(401, "PGRST301")];

  assertEquals((await world.confirm(back)).status, 200);
});

for (
  const [status, page] of [
    [404, /works no more/],
    [429, /Too many attempts/],
    [502, /could not be saved/],
  ] as const
) {
  Deno.test(`a link that is refused with ${status} is told on a page`, async () => {
    const world = new World();
    world.instead.begin_linked_connection = [() => refusal(status)];

    const response = await world.get(`/start?invitation=${LINK}`);

    assertMatch(await response.text(), page);
    assertEquals(response.headers.get("location"), null);
  });
}
