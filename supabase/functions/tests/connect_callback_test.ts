import { heldToken, Keyring, modelColumn } from "../_shared/sealing.ts";
import { hashNonce } from "../fanvue-connect/consent.ts";
import { assert, assertEquals, assertMatch } from "./assertions.ts";
import {
  ACCESS,
  CODE,
  CREATOR,
  DASHBOARD,
  GRANT,
  KEYS,
  LOST,
  MODEL,
  REFRESH,
  refusal,
  STORING,
  USER_TOKEN,
  WHOLE_WAY,
  World,
} from "./connect_world.ts";

Deno.test("a consent is held sealed, and nothing is stored", async () => {
  const world = new World();

  const response = await world.connect("&return_to=/models?tab=new%23list");

  assertEquals(response.status, 302);
  assertEquals(response.headers.get("cache-control"), "no-store");
  assertEquals(response.headers.get("referrer-policy"), "no-referrer");
  const location = new URL(response.headers.get("location") ?? "");
  const nonce = location.searchParams.get("confirm") ?? "";
  location.searchParams.delete("confirm");
  assertEquals(location.href, `${DASHBOARD}/models?tab=new#list`);
  assertEquals(world.order, WHOLE_WAY);
  const { access_token, refresh_token, ...shown } = world.held ?? {};
  const nonceHash = await hashNonce(nonce);
  const ring = Keyring.parse([KEYS]);
  const open = (text: unknown, column: string): Promise<string> =>
    ring.open(String(text), heldToken(nonceHash, column));
  assertEquals(await open(access_token, "access_token"), ACCESS);
  assertEquals(await open(refresh_token, "refresh_token"), REFRESH);
  assertEquals(shown, {
    user_uuid: CREATOR,
    handle: "nova-demo",
    scopes: GRANT.scope.split(" "),
    expires_in_s: 3599,
    fingerprint: await hashNonce(REFRESH),
  });
});

Deno.test("the browser that comes back is given a cookie that only the function reads", async () => {
  const world = new World();

  const response = await world.connect();

  const cookie = response.headers.get("set-cookie") ?? "";
  const nonce = new URL(response.headers.get("location") ?? "").searchParams
    .get("confirm") ?? "";
  assertMatch(
    cookie,
    /^__Host-fanvue-connect-[0-9a-f]{16}=[\w-]{43}; Path=\/; Max-Age=600; HttpOnly; Secure; SameSite=None$/,
  );
  const secret = cookie.split(/[=;]/)[1] ?? "";
  assertEquals(
    world.body("hold_connection").p_browser_hash,
    await hashNonce(secret),
  );
  assert(
    secret !== nonce && !response.headers.get("location")?.includes(secret),
  );
});

Deno.test("a confirmed consent becomes a sealed grant, and the browser goes home", async () => {
  const world = new World();

  const response = await world.connectWhole(
    "&return_to=/models?tab=new%23list",
  );

  assertEquals(response.status, 303);
  assertEquals(
    response.headers.get("location"),
    `${DASHBOARD}/models?tab=new&connected=${MODEL}#list`,
  );
  assertMatch(response.headers.get("set-cookie"), /=; Path=\/; Max-Age=0;/);
  assertEquals(world.order, STORING);
  const { p_access_token, p_refresh_token, p_nonce_hash, ...rest } = world
    .body("store_grant");
  assertEquals(rest, {
    p_model_id: MODEL,
    p_version: 3,
    p_expires_in_s: 3599,
  });
  assertEquals(p_nonce_hash, world.body("confirm_connection").p_nonce_hash);
  const ring = Keyring.parse([KEYS]);
  const place = (column: string): string => modelColumn(MODEL, column);
  assertEquals(
    await ring.open(String(p_access_token), place("fanvue_access_token")),
    ACCESS,
  );
  assertEquals(
    await ring.open(String(p_refresh_token), place("fanvue_refresh_token")),
    REFRESH,
  );
});

Deno.test("Fanvue is called as it asks to be called", async () => {
  const world = new World();

  await world.connect();

  const token = world.calls.find((call) => call.name === "token");
  const form = new URLSearchParams(token?.body);
  assertEquals(
    token?.headers.get("authorization"),
    `Basic ${btoa("client%20id:s3cret%3A%26%25")}`,
  );
  assertEquals(
    token?.headers.get("content-type"),
    "application/x-www-form-urlencoded",
  );
  assertEquals([...form.keys()].sort(), [
    "client_id",
    "code",
    "code_verifier",
    "grant_type",
    "redirect_uri",
  ]);
  assertEquals(form.get("grant_type"), "authorization_code");
  const me = world.calls.find((call) => call.name === "v1/users/me");
  assertEquals(me?.headers.get("authorization"), `Bearer ${ACCESS}`);
  assertEquals(me?.headers.get("x-fanvue-api-version"), "2025-06-26");
});

Deno.test("the service speaks to the database on the way back, not the user", async () => {
  const world = new World();

  const back = await world.connect();
  const calls = [...world.calls];
  await world.confirm(back);
  world.calls.unshift(...calls);

  for (const name of ["take_connection", "hold_connection", "store_grant"]) {
    const call = world.calls.find((each) => each.name === name);
    assertEquals(call?.headers.get("apikey"), "sb_secret_made_up");
    assertEquals(call?.headers.get("authorization"), null);
  }
});

for (const status of [404, 410]) {
  Deno.test(`a profile path that answers ${status} is asked for in the other family`, async () => {
    const world = new World();
    world.instead["v1/users/me"] = [() => new Response("{}", { status })];

    const response = await world.connect();

    assertEquals(response.status, 302);
    assert(world.order.includes("users/me"));
  });
}

Deno.test("a state works once", async () => {
  const world = new World();
  const path = await world.begun();

  assertEquals((await world.get(path)).status, 302);
  world.calls.length = 0;
  const again = await world.get(path);

  assertEquals(again.status, 400);
  assertMatch(await again.text(), /no longer open/);
  assertEquals(world.order, ["take_connection"]);
});

Deno.test("the expected account may be written in capitals", async () => {
  const world = new World();
  world.expectedCreator = CREATOR.toUpperCase();

  assertEquals((await world.connect(`&model_id=${MODEL}`)).status, 302);
});

Deno.test("no word about scopes means: as asked", async () => {
  const world = new World();
  const { scope: _left, ...silent } = GRANT;
  world.instead.token = [() => silent];

  assertEquals((await world.connect()).status, 302);
});

Deno.test("a lost reply of store_grant is asked for again with the same words", async () => {
  const world = new World();
  world.instead.store_grant = [LOST, () => new Response("", { status: 502 })];

  const response = await world.connectWhole();

  const bodies = world.calls.filter((call) => call.name === "store_grant")
    .map((call) => call.body);
  assertEquals(response.status, 303);
  assertEquals(bodies.length, 3);
  assertEquals(bodies[1], bodies[0]);
  assertEquals(bodies[2], bodies[0]);
  assertEquals(world.pauses, [250, 1000]);
});

Deno.test("a lost reply of take_connection is not asked for again", async () => {
  const world = new World();
  world.instead.take_connection = [LOST];

  const response = await world.connect();

  assertEquals(response.status, 503);
  assertEquals(world.order, ["take_connection"]);
});

Deno.test("a lost profile is asked for again", async () => {
  const world = new World();
  world.instead["v1/users/me"] = [LOST];

  assertEquals((await world.connect()).status, 302);
});

Deno.test("without a dashboard nothing begins: it is where people confirm", async () => {
  const world = new World();
  delete world.env.DASHBOARD_URL;

  assertEquals((await world.start()).status, 503);
  assertEquals(world.order, []);
});

Deno.test("nothing secret is in an answer, an address or a log", async () => {
  for (const trouble of [null, () => refusal(409), LOST]) {
    const world = new World();
    if (trouble) world.instead.store_grant = [trouble, trouble, trouble];
    const path = await world.begun();
    const state = new URLSearchParams(path.split("?")[1]).get("state") ?? "";

    const back = await world.get(path);
    const response = await world.confirm(back);

    const told = JSON.stringify([
      [...back.headers],
      [...response.headers],
      await response.text(),
      world.logged,
    ]);
    const secrets = [
      USER_TOKEN,
      ACCESS,
      REFRESH,
      CODE,
      state,
      "s3cret",
      "sb_secret",
    ];
    for (const secret of secrets) assert(!told.includes(secret), secret);
    for (const { verifier } of world.attempts.values()) {
      assert(!told.includes(verifier));
    }
  }
});

for (
  const [status, page] of [
    [401, /Who began confirms/],
    [403, /may not connect/],
    [404, /no longer open/],
    [410, /took too long/],
  ] as const
) {
  Deno.test(`a confirmation that is refused with ${status} stores nothing`, async () => {
    const world = new World();
    const back = await world.connect();
    const refuse = () => refusal(status);
    world.instead.confirm_connection = [refuse];
    world.instead.confirm_linked_connection = [refuse];

    const response = await world.confirm(back);

    assertMatch(await response.text(), page);
    assert(!world.order.includes("confirmed_connection"));
  });
}

for (
  const [status, page] of [
    [409, /Connected by another agency/],
    [412, /another Fanvue account/],
  ] as const
) {
  Deno.test(`a model that cannot be had (${status}) is told, and nothing is stored`, async () => {
    const world = new World();
    const back = await world.connect();
    world.instead.confirmed_connection = [() => refusal(status)];

    const response = await world.confirm(back);

    assertEquals(response.status, 409);
    assertMatch(await response.text(), page);
    assert(!world.order.includes("store_grant"));
  });
}
