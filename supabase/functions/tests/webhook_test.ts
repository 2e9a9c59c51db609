import { DatabaseAway, DatabaseRefused } from "../_shared/errors.ts";
import {
  ANSWER_WITHIN_MS,
  LARGEST_BODY_BYTES,
  STORE_WITHIN_MS,
} from "../fanvue-webhook/handler.ts";
import { assert, assertEquals, assertMatch } from "./assertions.ts";
import { deliver, EVENT, Receiver, sign, signed } from "./deliveries.ts";
import { oddBodies, signatureCases } from "./vectors.ts";

for (const vector of signatureCases()) {
  const verdict = vector.accepted ? "is accepted" : "is refused";
  Deno.test(`a delivery ${verdict}: ${vector.name}`, async () => {
    const receiver = new Receiver();
    receiver.secrets = vector.secrets;
    receiver.nowSeconds = vector.now;

    const response = await receiver.take(
      deliver(vector.body, { "x-fanvue-signature": vector.header }),
    );

    assertEquals(response.status, vector.accepted ? 200 : 401);
    assertEquals(receiver.received.length, vector.accepted ? 1 : 0);
  });
}

for (const status of ["applied", "duplicate", "ignored", "parked"]) {
  Deno.test(`what was ${status} is acknowledged by that word alone`, async () => {
    const receiver = new Receiver();
    receiver.answer = () => Promise.resolve({ status, model_id: "hidden" });

    const response = await receiver.take(await signed(EVENT));

    assertEquals(response.status, 200);
    assertEquals(await response.json(), { status });
  });
}

Deno.test("the database is given the payload and what the headers say of it", async () => {
  const receiver = new Receiver();

  await receiver.take(
    await signed(EVENT, {
      "X-Fanvue-Event-Id": "hint-1",
      "X-Fanvue-Topic": "creator.follow.created",
    }),
  );

  assertEquals(receiver.received, [{
    payload: EVENT,
    vouchedFor: null,
    hintId: "hint-1",
    hintTopic: "creator.follow.created",
  }]);
});

Deno.test("missing and empty headers are no hints, long ones are cut", async () => {
  const receiver = new Receiver();

  await receiver.take(
    await signed(EVENT, { "X-Fanvue-Topic": "x".repeat(5000) }),
  );
  await receiver.take(await signed(EVENT, { "X-Fanvue-Event-Id": " " }));

  assertEquals(receiver.received[0]?.hintTopic?.length, 200);
  assertEquals(receiver.received[0]?.hintId, null);
  assertEquals(receiver.received[1]?.hintId, null);
});

Deno.test("amounts keep every digit on their way", async () => {
  const receiver = new Receiver();
  const body = '{"gross":12345678901234567890.10,"net":1E+2}';

  await receiver.take(await signed(body));

  assertEquals(receiver.received[0]?.payload, body);
});

Deno.test("a byte order mark before the object does no harm", async () => {
  const receiver = new Receiver();

  const response = await receiver.take(await signed(`\ufeff${EVENT}`));

  assertEquals(response.status, 200);
  assertEquals(receiver.received[0]?.payload, EVENT);
});

for (const { name, body } of oddBodies()) {
  Deno.test(`an odd event goes to the database as JSON: ${name}`, async () => {
    const receiver = new Receiver();

    const response = await receiver.take(await signed(body));

    assertEquals(response.status, 200);
    const payload = receiver.received[0]?.payload ?? "";
    assert(JSON.parse(payload));
    assert(JSON.stringify(JSON.parse(payload)).isWellFormed());
    assert(!/(?<!\\)(\\\\)*\\u0000/.test(payload));
  });
}

const NO_EVENTS: Record<string, string | Uint8Array<ArrayBuffer>> = {
  "an empty body": "",
  "text": "hello",
  "a list": "[1]",
  "a number": "7",
  "null": "null",
  "JSON that ends early": '{"id":"e1"',
  "two objects": "{}{}",
  "invalid UTF-8": new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d]),
  "nesting beyond measure": `{"a":${"[".repeat(500_000)}${
    "]".repeat(500_000)
  }}`,
};
for (const [name, body] of Object.entries(NO_EVENTS)) {
  Deno.test(`signed, but no event: ${name}`, async () => {
    const receiver = new Receiver();

    const response = await receiver.take(await signed(body));

    assertEquals(response.status, 400);
    assertEquals(receiver.received.length, 0);
  });
}

function asked(method: string): Request {
  return new Request("http://127.0.0.1/fanvue-webhook", { method });
}

Deno.test("other methods are refused", async () => {
  for (const method of ["PUT", "DELETE", "PATCH"]) {
    const response = await new Receiver().take(asked(method));

    assertEquals(response.status, 405);
    assertEquals(response.headers.get("allow"), "POST, GET, HEAD, OPTIONS");
  }
});

const PROBES: Record<string, () => Request> = {
  "GET": () => asked("GET"),
  "HEAD": () => asked("HEAD"),
  "OPTIONS": () => asked("OPTIONS"),
  "POST without a body": () => deliver(null),
  "POST of nothing": () => deliver("{}"),
  "POST of a word": () => deliver("ping"),
  "POST of what is no event": () => deliver('{"challenge":"x"}'),
};
for (const [name, request] of Object.entries(PROBES)) {
  Deno.test(`who only asks whether somebody is there hears so: ${name}`, async () => {
    const receiver = new Receiver();
    receiver.secrets = [];

    const response = await receiver.take(request());

    assertEquals(response.status, 200);
    assertEquals(await response.json(), { status: "ready" });
    assertEquals(receiver.received, []);
  });
}

const UNSIGNED = [EVENT, '{"recipientUuid":"x"}', '{"type":null}'];
for (const body of UNSIGNED) {
  Deno.test(`an event without a signature is refused: ${body}`, async () => {
    const receiver = new Receiver();

    const response = await receiver.take(deliver(body));

    assertEquals(response.status, 401);
    assertEquals(receiver.received, []);
  });
}

Deno.test("a signature that does not fit is refused, whatever it comes with", async () => {
  const header = await sign("something else");

  const response = await new Receiver().take(
    deliver("{}", { "x-fanvue-signature": header }),
  );

  assertEquals(response.status, 401);
});

Deno.test("a body of exactly 1 MiB is taken, one byte more is not", async () => {
  const frame = '{"text":""}';
  const exact = `{"text":"${"x".repeat(LARGEST_BODY_BYTES - frame.length)}"}`;
  const receiver = new Receiver();

  assertEquals((await receiver.take(await signed(exact))).status, 200);
  assertEquals((await receiver.take(await signed(`${exact} `))).status, 413);
  assertEquals(receiver.received.length, 1);
});

Deno.test("an announced excess is refused before anything is read", async () => {
  const receiver = new Receiver();
  const unread = new ReadableStream({
    pull: () => Promise.reject(new Error("was read")),
  }, { highWaterMark: 0 });

  const response = await receiver.take(
    deliver(unread, { "content-length": String(LARGEST_BODY_BYTES + 1) }),
  );

  assertEquals(response.status, 413);
});

Deno.test("a stream without an end is cut at 1 MiB", async () => {
  const receiver = new Receiver();
  let sent = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      sent += 65_536;
      controller.enqueue(new Uint8Array(65_536));
    },
  });

  const response = await receiver.take(
    deliver(endless, { "x-fanvue-signature": await sign("") }),
  );

  assertEquals(response.status, 413);
  assert(sent < 2 * LARGEST_BODY_BYTES);
});

Deno.test("a body that breaks off is the sender's to repeat", async () => {
  const receiver = new Receiver();
  const broken = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.error(new Error("reset")),
  });

  assertEquals((await receiver.take(deliver(broken))).status, 400);
});

const TROUBLES: Record<string, () => Promise<unknown>> = {
  "is away": () => Promise.reject(new DatabaseAway("no answer")),
  "does not know the function's caller": () =>
    Promise.reject(new DatabaseRefused(403, "42501")),
  "breaks a rule of its own": () =>
    Promise.reject(new DatabaseRefused(409, "23505")),
  "says nothing": () => Promise.resolve(null),
  "says something else": () => Promise.resolve({ status: "stored, perhaps" }),
};
for (const [name, answer] of Object.entries(TROUBLES)) {
  Deno.test(`the sender comes again when the database ${name}`, async () => {
    const receiver = new Receiver();
    receiver.answer = answer;

    const response = await receiver.take(await signed(EVENT));

    assertEquals(response.status, 503);
    assertMatch(response.headers.get("retry-after") ?? "", /^\d+$/);
    assertEquals(receiver.logged.at(-1)?.event, "webhook_not_stored");
  });

  Deno.test(`an event is stored all the same when the database ${name} as it is applied`, async () => {
    const receiver = new Receiver();
    receiver.answer = answer;
    receiver.store = () => Promise.resolve({ status: "parked" });

    const response = await receiver.take(await signed(EVENT));

    assertEquals(response.status, 200);
    assertEquals(await response.json(), { status: "parked" });
    assertEquals(receiver.stored, receiver.received);
    assertEquals(receiver.logged.map((line) => line.event), [
      "webhook_not_applied",
      "webhook_received",
    ]);
  });
}

Deno.test("storing what was not applied in time is answered before the sender gives up", async () => {
  const receiver = new Receiver();
  receiver.answer = () => {
    receiver.nowSeconds += (receiver.withinMs[0] ?? 0) / 1000;
    return Promise.reject(new DatabaseAway("no answer of the database"));
  };
  receiver.store = () => Promise.resolve({ status: "parked" });

  assertEquals((await receiver.take(await signed(EVENT))).status, 200);

  const [applying, storing] = receiver.withinMs;
  assertEquals(storing, STORE_WITHIN_MS);
  assertEquals((applying ?? 0) + (storing ?? 0), ANSWER_WITHIN_MS);
});

Deno.test("what is refused for what it is, is not stored by a second call", async () => {
  const receiver = new Receiver();
  receiver.answer = () => Promise.reject(new DatabaseRefused(422, "PT422"));

  assertEquals((await receiver.take(await signed(EVENT))).status, 400);
  assertEquals(receiver.stored, []);
});

for (const code of ["PT422", "PT400", "22003", "22P05"]) {
  Deno.test(`the sender need not come again when the data is refused with ${code}`, async () => {
    const receiver = new Receiver();
    receiver.answer = () => Promise.reject(new DatabaseRefused(400, code));

    assertEquals((await receiver.take(await signed(EVENT))).status, 400);
  });
}

Deno.test("without secrets nothing is lost: the sender comes again and the log says why", async () => {
  const receiver = new Receiver();
  receiver.secrets = [];

  const response = await receiver.take(await signed(EVENT));

  assertEquals(response.status, 503);
  assert(response.headers.has("retry-after"));
  assertMatch(
    String(receiver.logged[0]?.fields.error),
    /FANVUE_WEBHOOK_SECRETS is not set/,
  );
  await receiver.settle();
  assertEquals(receiver.registrations.refused, { not_configured: 1 });
});

Deno.test("an event without an id is logged by the name that the database gave it", async () => {
  const receiver = new Receiver();
  receiver.answer = () =>
    Promise.resolve({ status: "applied", event_id: "sha256:00ff" });

  await receiver.take(await signed('{"creatorUuid":"c1"}'));

  assertEquals(receiver.logged[0]?.fields.cause, "webhook sha256:00ff");
  assertEquals(receiver.logged[0]?.fields.event_id, null);
});

Deno.test("a log line names the event, not its content, nor a secret", async () => {
  const receiver = new Receiver();
  const body =
    '{"id":"e7","type":"creator.message.received","data":{"text":"a private word"}}';

  await receiver.take(await signed(body));

  assertEquals(receiver.logged, [{
    event: "webhook_received",
    fields: {
      cause: "webhook e7",
      event_id: "e7",
      topic: "creator.message.received",
      status: "applied",
      ms: 0,
    },
  }]);
});
