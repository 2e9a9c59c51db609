import { DatabaseFunctions, JsonText } from "../_shared/database.ts";
import type { Project } from "../_shared/environment.ts";
import { DatabaseAway, DatabaseRefused } from "../_shared/errors.ts";
import { assert, assertEquals, assertThrows } from "./assertions.ts";

const PROJECT: Project = {
  url: "http://127.0.0.1:1",
  secretKey: "sb_secret_made_up",
  publishableKey: "sb_publishable_made_up",
};
const ARGUMENTS = { p_state_hash: "x" };

function database(
  answer: (request: Request) => Response | Promise<Response>,
  project: Project = PROJECT,
  largestAnswerBytes?: number,
): DatabaseFunctions {
  return new DatabaseFunctions(
    project,
    (request) => Promise.resolve(answer(request)),
    20,
    largestAnswerBytes,
  );
}

Deno.test("the service calls with its key alone", async () => {
  let seen: Request | null = null;
  const answer = await database((request) => {
    seen = request;
    return Response.json({ fine: true });
  }).callAsService("take_connection", ARGUMENTS);

  const request = seen as Request | null;
  assert(request);
  assertEquals(answer, { fine: true });
  assertEquals(request.url, "http://127.0.0.1:1/rest/v1/rpc/take_connection");
  assertEquals(request.headers.get("apikey"), "sb_secret_made_up");
  assertEquals(request.headers.get("authorization"), null);
  assertEquals(await request.json(), ARGUMENTS);
});

Deno.test("a key of the old kind is sent as a token too", async () => {
  const old = { ...PROJECT, secretKey: "a.b.c" };
  let authorization: string | null = null;
  await database((request) => {
    authorization = request.headers.get("authorization");
    return Response.json(null);
  }, old).callAsService("take_connection", ARGUMENTS);

  assertEquals(authorization, "Bearer a.b.c");
});

Deno.test("a user calls with the publishable key and his own token", async () => {
  let headers = new Headers();
  await database((request) => {
    headers = request.headers;
    return Response.json(null);
  }).callAsUser("u.s.er", "take_connection", ARGUMENTS);

  assertEquals(headers.get("apikey"), "sb_publishable_made_up");
  assertEquals(headers.get("authorization"), "Bearer u.s.er");
});

Deno.test("JSON text is sent as it is", async () => {
  let body = "";
  await database(async (request) => {
    body = await request.text();
    return Response.json(null);
  }).callAsService("receive_webhook_event", new JsonText('{"p_payload":1.10}'));

  assertEquals(body, '{"p_payload":1.10}');
});

Deno.test("an answer that does not come in time is no answer", async () => {
  const error = await assertThrows(
    () =>
      database((request) =>
        new Promise((_resolve, reject) => {
          request.signal.addEventListener(
            "abort",
            () => reject(request.signal.reason),
          );
        })
      ).callAsService("take_connection", ARGUMENTS),
    DatabaseAway,
  );

  assertEquals(error.message, "no answer of the database (TimeoutError)");
});

const AWAY: Record<string, () => Response> = {
  "a gateway's page": () => new Response("<html>", { status: 502 }),
  "an overloaded server": () =>
    Response.json({ code: "53300" }, { status: 503 }),
  "too many requests": () => Response.json({ code: "XX429" }, { status: 429 }),
  "a function that is not there yet": () =>
    Response.json({ code: "PGRST202" }, { status: 404 }),
  "a type of arguments that is not there yet": () =>
    Response.json({ code: "42883" }, { status: 404 }),
  "a table that is not there yet": () =>
    Response.json({ code: "42P01" }, { status: 404 }),
  "a clock that runs behind the one which signed the service's token": () =>
    Response.json({ code: "PGRST303" }, { status: 401 }),
  "a refusal by something in between": () => new Response("", { status: 403 }),
};
for (const [name, answer] of Object.entries(AWAY)) {
  Deno.test(`the database is away behind ${name}`, async () => {
    await assertThrows(
      () => database(answer).callAsService("take_connection", ARGUMENTS),
      DatabaseAway,
    );
  });
}

Deno.test("a refusal carries status and code, and not a word more", async () => {
  const error = await assertThrows(
    () =>
      database(() =>
        Response.json({ code: "PT410", message: "private words" }, {
          status: 410,
        })
      ).callAsService("take_connection", ARGUMENTS),
    DatabaseRefused,
  );

  assertEquals([error.status, error.code], [410, "PT410"]);
  assert(!error.message.includes("private"));
});

Deno.test("a limit of ours is a refusal, not an outage", async () => {
  const error = await assertThrows(
    () =>
      database(() => Response.json({ code: "PT429" }, { status: 429 }))
        .callAsService("take_connection", ARGUMENTS),
    DatabaseRefused,
  );

  assertEquals(error.status, 429);
});

Deno.test("a user's token that is refused is the user's affair", async () => {
  const refuse = () => Response.json({ code: "PGRST303" }, { status: 401 });

  await assertThrows(
    () => database(refuse).callAsUser("token", "take_connection", ARGUMENTS),
    DatabaseRefused,
  );
});

const MEGABYTE = 1024 * 1024;

Deno.test("an answer longer than a megabyte is none, unless the caller expects it", async () => {
  const text = "x".repeat(MEGABYTE);
  const answer = (): Response => Response.json(text);

  const error = await assertThrows(
    () => database(answer).callAsService("take_connection", ARGUMENTS),
    DatabaseAway,
  );
  const expected = await database(answer, PROJECT, 2 * MEGABYTE)
    .callAsService("take_connection", ARGUMENTS);

  assertEquals(
    error.message,
    `the database answered 200 with more than ${MEGABYTE} bytes`,
  );
  assertEquals(expected, text);
});
