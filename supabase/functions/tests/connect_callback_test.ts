import { Keyring, modelColumn } from "../_shared/sealing.ts";
import { assert, assertEquals, assertMatch } from "./assertions.ts";
import {
  ACCESS,
  AGENCY,
  type Answer,
  CODE,
  CREATOR,
  DASHBOARD,
  KEYS,
  MODEL,
  REFRESH,
  refusal,
  SCOPES,
  World,
} from "./connect_world.ts";

const WHOLE_WAY = [
  "take_connection",
  "token",
  "v1/users/me",
  "connect_model",
  "store_grant",
];
const LOST = new TypeError("connection reset");
const GRANT = {
  access_token: ACCESS,
  refresh_token: REFRESH,
  expires_in: 3599,
  scope: SCOPES,
};

function oauthError(status: number, error: string): Answer {
  return () => Response.json({ error, error_description: "x" }, { status });
}

Deno.test("a consent becomes a sealed grant, and the browser goes home", async () => {
  const world = new World();

  const response = await world.connect("&return_to=/models?tab=new%23list");

  assertEquals(response.status, 302);
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

interface Ending {
  page: RegExp;
  status: number;
  order: string[];
  arrange: (world: World) => void;
}

const ENDINGS: Record<string, Ending> = {
  "the state took too long": {
    page: /took too long/,
    status: 410,
    order: WHOLE_WAY.slice(0, 1),
    arrange: (world) => world.instead.take_connection = [() => refusal(410)],
  },
  "the state is unknown": {
    page: /no longer open/,
    status: 400,
    order: WHOLE_WAY.slice(0, 1),
    arrange: (world) => world.attempts.clear(),
  },
  "the verifier was changed": {
    page: /not set up completely/,
    status: 503,
    order: WHOLE_WAY.slice(0, 1),
    arrange: (world) => {
      for (const attempt of world.attempts.values()) {
        attempt.verifier = `${attempt.verifier.slice(0, -6)}AAAAAA`;
      }
    },
  },
  "Fanvue finds the code stale": {
    page: /did not accept/,
    status: 400,
    order: WHOLE_WAY.slice(0, 2),
    arrange: (world) =>
      world.instead.token = [oauthError(400, "invalid_grant")],
  },
  "Fanvue does not know our client": {
    page: /not set up completely/,
    status: 503,
    order: WHOLE_WAY.slice(0, 2),
    arrange: (world) =>
      world.instead.token = [oauthError(401, "invalid_client")],
  },
  "Fanvue gives a page instead of a token": {
    page: /could not be reached/,
    status: 502,
    order: WHOLE_WAY.slice(0, 2),
    arrange: (world) => world.instead.token = [() => new Response("<html>")],
  },
  "Fanvue is down": {
    page: /could not be reached/,
    status: 502,
    order: WHOLE_WAY.slice(0, 2),
    arrange: (world) => world.instead.token = [LOST],
  },
  "the earnings were not granted": {
    page: /permission is missing/,
    status: 403,
    order: WHOLE_WAY.slice(0, 2),
    arrange: (world) =>
      world.instead.token = [() => ({
        ...GRANT,
        scope: "openid offline read:self",
      })],
  },
  "the profile was not granted": {
    page: /permission is missing/,
    status: 403,
    order: WHOLE_WAY.slice(0, 2),
    arrange: (world) =>
      world.instead.token = [() => ({ ...GRANT, scope: "read:insights" })],
  },
  "lasting access was not granted": {
    page: /permission is missing/,
    status: 403,
    order: WHOLE_WAY.slice(0, 2),
    arrange: (world) =>
      world.instead.token = [() => ({ ...GRANT, refresh_token: null })],
  },
  "the profile is refused": {
    page: /permission is missing/,
    status: 403,
    order: WHOLE_WAY.slice(0, 3),
    arrange: (world) =>
      world.instead["v1/users/me"] = [oauthError(403, "Forbidden")],
  },
  "the fresh token is refused": {
    page: /could not be reached/,
    status: 502,
    order: WHOLE_WAY.slice(0, 3),
    arrange: (world) =>
      world.instead["v1/users/me"] = [oauthError(401, "Unauthorized")],
  },
  "another account was signed in": {
    page: /another Fanvue account/,
    status: 409,
    order: WHOLE_WAY.slice(0, 3),
    arrange: (world) =>
      world.expectedCreator = "00000000-0000-4000-8000-000000000000",
  },
  "another agency has the account": {
    page: /another agency/,
    status: 409,
    order: WHOLE_WAY.slice(0, 4),
    arrange: (world) => world.instead.connect_model = [() => refusal(409)],
  },
  "the database is away for long": {
    page: /could not be saved/,
    status: 503,
    order: [...WHOLE_WAY, "store_grant", "store_grant"],
    arrange: (world) => world.instead.store_grant = [LOST, LOST, LOST],
  },
  "another window was faster": {
    page: /at the same time/,
    status: 409,
    order: WHOLE_WAY,
    arrange: (world) => world.instead.store_grant = [() => refusal(409)],
  },
};
for (const [name, ending] of Object.entries(ENDINGS)) {
  Deno.test(`a page says so, and what to do, when ${name}`, async () => {
    const world = new World();
    const path = await world.begun();
    ending.arrange(world);

    const response = await world.get(path);

    assertEquals(response.status, ending.status);
    assertEquals(world.order, ending.order);
    assertMatch(await response.text(), ending.page);
    assertEquals(response.headers.get("location"), null);
  });
}

Deno.test("a model that was meant stays the one, even without a known account", async () => {
  const world = new World();
  const other = "00000000-0000-4000-8000-00000000000a";

  const response = await world.connect(`&model_id=${other}`);

  assertEquals(response.status, 409);
  assertEquals(world.order, WHOLE_WAY.slice(0, 4));
});

const DECLINED: Record<string, [query: string, page: RegExp, status: number]> =
  {
    "the creator declines": [
      "error=access_denied&error_description=no",
      /was not granted/,
      403,
    ],
    "Fanvue has trouble": ["error=server_error", /could not be reached/, 502],
    "the error is a forgery": [
      "error=%3Cscript%3E&code=x",
      /could not be reached/,
      502,
    ],
    "the code is missing": [
      `state=${"s".repeat(43)}`,
      /is incomplete/,
      400,
    ],
    "the state is missing": [`code=${CODE}`, /is incomplete/, 400],
    "the state is no state": [`code=${CODE}&state=x`, /is incomplete/, 400],
    "everything is missing": ["", /is incomplete/, 400],
  };
for (const [name, [query, page, status]] of Object.entries(DECLINED)) {
  Deno.test(`nothing is asked of anybody when ${name}`, async () => {
    const world = new World();

    const response = await world.get(`/callback?${query}`);

    assertEquals(response.status, status);
    const html = await response.text();
    assertMatch(html, page);
    assert(!html.includes("<script"));
    assertEquals(world.order, []);
  });
}
