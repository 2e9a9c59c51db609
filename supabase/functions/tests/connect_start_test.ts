import {
  challengeOf,
  consentUrl,
  hashNonce,
} from "../fanvue-connect/consent.ts";
import { readSettings } from "../fanvue-connect/settings.ts";
import { assert, assertEquals } from "./assertions.ts";
import {
  AGENCY,
  MODEL,
  openVerifier,
  refusal,
  USER_TOKEN,
  World,
} from "./connect_world.ts";
import { connectionVectors } from "./vectors.ts";

const VECTORS = connectionVectors();

Deno.test("PKCE is S256 as in RFC 7636", async () => {
  assertEquals(
    await challengeOf(VECTORS.pkce.verifier),
    VECTORS.pkce.challenge,
  );
});

Deno.test("a state is stored as its SHA-256", async () => {
  assertEquals(await hashNonce(VECTORS.state.state), VECTORS.state.hash);
});

Deno.test("an owner or admin is sent to Fanvue with all that it asks for", async () => {
  const world = new World();

  const response = await world.start();

  assertEquals(response.status, 302);
  assertEquals(response.headers.get("cache-control"), "no-store");
  assertEquals(response.headers.get("referrer-policy"), "no-referrer");
  const url = new URL(response.headers.get("location") ?? "");
  const { state, code_challenge, ...rest } = Object.fromEntries(
    url.searchParams,
  );
  assertEquals(
    url.origin + url.pathname,
    "https://auth.example.test/oauth2/auth",
  );
  assertEquals(rest, {
    response_type: "code",
    client_id: "client id",
    redirect_uri:
      "https://project.example.test/functions/v1/fanvue-connect/callback",
    scope:
      "openid offline_access offline read:self read:insights read:fan read:chat read:post read:creator",
    code_challenge_method: "S256",
    prompt: "login",
  });
  assert(/^[\w-]{43}$/.test(state ?? ""));
  assert(/^[\w-]{43}$/.test(code_challenge ?? ""));
});

Deno.test("the database is asked as the caller and keeps no usable secret", async () => {
  const world = new World();

  const response = await world.start(`&model_id=${MODEL}&return_to=/models`);

  const url = new URL(response.headers.get("location") ?? "");
  const state = url.searchParams.get("state") ?? "";
  const [call] = world.calls;
  assertEquals(world.order, ["begin_connection"]);
  assertEquals(call?.headers.get("authorization"), `Bearer ${USER_TOKEN}`);
  assertEquals(call?.headers.get("apikey"), "sb_publishable_made_up");
  const { p_verifier, ...args } = world.body("begin_connection");
  assertEquals(args, {
    p_agency_id: AGENCY,
    p_model_id: MODEL,
    p_state_hash: await hashNonce(state),
    p_return_to: "/models",
  });
  const verifier = await openVerifier(String(p_verifier), state);
  assertEquals(
    await challengeOf(verifier),
    url.searchParams.get("code_challenge"),
  );
  assert(!call?.body.includes(state) && !call?.body.includes(verifier));
});

Deno.test("a way back to another place is not even stored", async () => {
  const world = new World();

  await world.start("&return_to=//evil.example");

  assertEquals(world.body("begin_connection").p_return_to, "/");
});

Deno.test("no two connections share a state or a verifier", async () => {
  const world = new World();

  const urls = [await world.start(), await world.start()].map((response) =>
    new URL(response.headers.get("location") ?? "").searchParams
  );

  assert(urls[0]?.get("state") !== urls[1]?.get("state"));
  assert(urls[0]?.get("code_challenge") !== urls[1]?.get("code_challenge"));
});

Deno.test("a script that asks for JSON is told the address", async () => {
  const response = await new World().start("", { accept: "application/json" });

  assertEquals(response.status, 200);
  assertEquals(response.headers.get("access-control-allow-origin"), "*");
  const { url } = await response.json();
  assert(url.startsWith("https://auth.example.test/oauth2/auth?"));
});

Deno.test("a browser that asks first may send its token", async () => {
  const world = new World();
  const { handle } = await import("../fanvue-connect/handler.ts");

  const response = await handle(
    new Request("http://127.0.0.1/fanvue-connect/start", { method: "OPTIONS" }),
    world.effects,
  );

  assertEquals(response.status, 204);
  assert(
    response.headers.get("access-control-allow-headers")?.includes(
      "authorization",
    ),
  );
});

const NO_TOKENS: Record<string, Record<string, string>> = {
  "none": {},
  "an empty one": { authorization: "Bearer " },
  "a publishable key": { authorization: "Bearer sb_publishable_made_up" },
  "a password": { authorization: "Basic dXNlcjpwYXNz" },
};
for (const [name, headers] of Object.entries(NO_TOKENS)) {
  Deno.test(`a caller without a token is refused at once: ${name}`, async () => {
    const world = new World();

    const response = await world.get(`/start?agency_id=${AGENCY}`, headers);

    assertEquals(response.status, 401);
    assertEquals(world.order, []);
  });
}

Deno.test("a token in the address is not taken", async () => {
  const world = new World();

  const response = await world.get(
    `/start?agency_id=${AGENCY}&access_token=${USER_TOKEN}`,
  );

  assertEquals(response.status, 401);
  assertEquals(world.order, []);
});

for (
  const query of [
    "",
    "?agency_id=",
    "?agency_id=demo",
    `?agency_id=${AGENCY}&model_id=1`,
  ]
) {
  Deno.test(`what is no id is refused before anything is asked: ${query || "nothing"}`, async () => {
    const world = new World();

    const response = await world.get(`/start${query}`, {
      authorization: `Bearer ${USER_TOKEN}`,
    });

    assertEquals(response.status, 400);
    assertEquals(world.order, []);
  });
}

const REFUSALS: [name: string, answer: Response, status: number][] = [
  ["a stale token", refusal(401, "PGRST301"), 401],
  ["a role without the right", refusal(403, "42501"), 403],
  ["another agency", refusal(404), 404],
  ["the hundred and twenty-first within an hour", refusal(429), 429],
  ["a database that is away", new Response("", { status: 502 }), 503],
  ["a database of another time", refusal(404, "PGRST202"), 503],
];
for (const [name, answer, status] of REFUSALS) {
  Deno.test(`the answer to ${name} is ${status}, without the database's words`, async () => {
    const world = new World();
    world.instead.begin_connection = [() => answer];

    const response = await world.start();

    assertEquals(response.status, status);
    assertEquals(response.headers.get("location"), null);
    assert(!(await response.text()).includes("words of the database"));
  });
}

Deno.test("settings that are missing are told to the log, not to the caller", async () => {
  const world = new World();
  delete world.env.FANVUE_CLIENT_ID;

  const response = await world.start();

  assertEquals(response.status, 503);
  assert(!(await response.text()).includes("CLIENT_ID"));
  assert(JSON.stringify(world.logged).includes("FANVUE_CLIENT_ID is not set"));
});

Deno.test("scopes and the way back can be set", async () => {
  const world = new World();
  world.env.FANVUE_SCOPES = " openid  read:self ";
  world.env.FANVUE_REDIRECT_URI = "https://hooks.example.test/back";
  const settings = readSettings(
    (name) => world.env[name],
    () => new Uint8Array(),
  );

  const url = new URL(
    await consentUrl(
      settings.fanvue,
      { state: "s", verifier: "v" },
      settings.fanvue.scopes,
    ),
  );

  assertEquals(url.searchParams.get("scope"), "openid read:self");
  assertEquals(
    url.searchParams.get("redirect_uri"),
    "https://hooks.example.test/back",
  );
});

Deno.test("nothing secret is logged at the start", async () => {
  const world = new World();

  const response = await world.start();

  const url = new URL(response.headers.get("location") ?? "");
  const log = JSON.stringify(world.logged);
  assertEquals(world.logged, [{
    event: "connect_started",
    fields: { agency_id: AGENCY, as: "creator", model_id: null },
  }]);
  assert(!log.includes(url.searchParams.get("state") ?? "?"));
});

Deno.test("other addresses and methods are not here", async () => {
  const world = new World();
  const { handle } = await import("../fanvue-connect/handler.ts");

  assertEquals((await world.get("/")).status, 404);
  assertEquals((await world.get("/start/else")).status, 404);
  for (const method of ["POST", "HEAD", "DELETE"]) {
    for (const name of ["start", "callback"]) {
      const url = `http://127.0.0.1/fanvue-connect/${name}`;
      const response = await handle(
        new Request(url, { method }),
        world.effects,
      );
      assertEquals(response.status, 405);
    }
  }
});
