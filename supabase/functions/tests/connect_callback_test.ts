import { Keyring, modelColumn } from "../_shared/sealing.ts";
import { assert, assertEquals, assertMatch } from "./assertions.ts";
import {
  ACCESS,
  AGENCY,
  CODE,
  CREATOR,
  DASHBOARD,
  GRANT,
  KEYS,
  LOST,
  MODEL,
  REFRESH,
  refusal,
  WHOLE_WAY,
  World,
} from "./connect_world.ts";

Deno.test("a consent becomes a sealed grant, and the browser goes home", async () => {
  const world = new World();

  const response = await world.connect("&return_to=/models?tab=new%23list");

  assertEquals(response.status, 302);
  assertEquals(response.headers.get("cache-control"), "no-store");
  assertEquals(response.headers.get("referrer-policy"), "no-referrer");
  assertEquals(
    response.headers.get("location"),
    `${DASHBOARD}/models?tab=new&connected=${MODEL}#list`,
  );
  assertEquals(world.order, WHOLE_WAY);
  assertEquals(world.body("connect_model"), {
    p_agency: AGENCY,
    p_creator_uuid: CREATOR,
    p_handle: "nova-demo",
    p_replace: true,
    p_model_id: null,
  });
  const { p_access_token, p_refresh_token, ...rest } = world.body(
    "store_grant",
  );
  assertEquals(rest, {
    p_model_id: MODEL,
    p_version: 3,
    p_expires_in_s: 3599,
  });
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

  await world.connect();

  for (const name of ["take_connection", "connect_model", "store_grant"]) {
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

  const response = await world.connect();

  const bodies = world.calls.filter((call) => call.name === "store_grant")
    .map((call) => call.body);
  assertEquals(response.status, 302);
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

Deno.test("without a dashboard there is a page that says it is done", async () => {
  const world = new World();
  delete world.env.DASHBOARD_URL;

  const response = await world.connect();

  assertEquals(response.status, 200);
  assertMatch(await response.text(), /<h1>Connected<\/h1>/);
});

Deno.test("nothing secret is in an answer, an address or a log", async () => {
  for (const trouble of [null, () => refusal(409), LOST]) {
    const world = new World();
    if (trouble) world.instead.connect_model = [trouble, trouble, trouble];
    const path = await world.begun();
    const state = new URLSearchParams(path.split("?")[1]).get("state") ?? "";

    const response = await world.get(path);

    const told = JSON.stringify([
      [...response.headers],
      await response.text(),
      world.logged,
    ]);
    const secrets = [ACCESS, REFRESH, CODE, state, "s3cret", "sb_secret"];
    for (const secret of secrets) assert(!told.includes(secret), secret);
    for (const { verifier } of world.attempts.values()) {
      assert(!told.includes(verifier));
    }
  }
});

Deno.test("a model that was meant stays the one, even without a known account", async () => {
  const world = new World();
  const other = "00000000-0000-4000-8000-00000000000a";

  const response = await world.connect(`&model_id=${other}`);

  assertEquals(response.status, 409);
  assertEquals(world.order, WHOLE_WAY.slice(0, 4));
});
