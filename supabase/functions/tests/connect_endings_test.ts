import { assert, assertEquals, assertMatch } from "./assertions.ts";
import {
  type Answer,
  CODE,
  GRANT,
  LOST,
  refusal,
  WHOLE_WAY,
  World,
} from "./connect_world.ts";

function oauthError(status: number, error: string): Answer {
  return () => Response.json({ error, error_description: "x" }, { status });
}

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
  "the database is away for long": {
    page: /could not be saved/,
    status: 503,
    order: [...WHOLE_WAY, "hold_connection", "hold_connection"],
    arrange: (world) => world.instead.hold_connection = [LOST, LOST, LOST],
  },
  "another window was faster": {
    page: /at the same time/,
    status: 409,
    order: WHOLE_WAY,
    arrange: (world) => world.instead.hold_connection = [() => refusal(404)],
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
