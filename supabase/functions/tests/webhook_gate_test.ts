import { DatabaseAway, DatabaseRefused } from "../_shared/errors.ts";
import { assert, assertEquals } from "./assertions.ts";
import { MOST_QUESTIONS } from "../fanvue-webhook/gate.ts";
import {
  about,
  CREATOR,
  deliver,
  delivery,
  EVENT,
  OTHER,
  OWN,
  Receiver,
  registered,
  SECRET,
  statusOf,
} from "./deliveries.ts";

Deno.test("a delivery signed with a registered secret is accepted, beside those of the settings", async () => {
  const receiver = registered();

  assertEquals(await statusOf(receiver, delivery(about(CREATOR), OWN)), 200);
  const upper = about(CREATOR.toUpperCase());
  assertEquals(await statusOf(receiver, delivery(upper, OWN)), 200);
  assertEquals(await statusOf(receiver, delivery(about(null), OWN)), 200);
  receiver.secrets = [];
  assertEquals(await statusOf(receiver, delivery(about(CREATOR), OWN)), 200);
  assertEquals(receiver.received.length, 4);
});

Deno.test("a registered secret vouches for its own creator and for nobody else", async () => {
  const receiver = registered();

  assertEquals(await statusOf(receiver, delivery(about(OTHER), OWN)), 401);
  const flat = JSON.stringify({ recipientUuid: OTHER, price: 500 });
  assertEquals(await statusOf(receiver, delivery(flat, OWN)), 401);
  assertEquals(receiver.received, []);
});

Deno.test("whose secret signed it goes with the event, and the settings' secrets say nothing of it", async () => {
  const receiver = registered();
  const flat = JSON.stringify({
    data: { creator: { uuid: CREATOR } },
    recipientUuid: OTHER,
    price: 100_000,
    context: "x",
  });

  await receiver.take(await delivery(flat, OWN));
  await receiver.take(await delivery(about(null), OWN));
  await receiver.take(await delivery(about(OTHER), SECRET));

  assertEquals(receiver.received.map((one) => one.vouchedFor), [
    CREATOR,
    CREATOR,
    null,
  ]);
});

Deno.test("a byte order mark hides nobody's name", async () => {
  const receiver = registered();

  const theirs = delivery(`\ufeff${about(OTHER)}`, OWN);
  assertEquals(await statusOf(receiver, theirs), 401);
  const own = delivery(`\ufeff${about(CREATOR)}`, OWN);
  assertEquals(await statusOf(receiver, own), 200);

  assertEquals(receiver.received.length, 1);
});

Deno.test("an event of another creator than its secret's is refused like a forged one", async () => {
  const receiver = registered();
  receiver.answer = () => Promise.reject(new DatabaseRefused(403, "PT403"));

  assertEquals(await statusOf(receiver, delivery(about(CREATOR), OWN)), 401);
  await receiver.settle();

  assertEquals(receiver.registrations.refused, { wrong_signature: 1 });
});

Deno.test("one creator's secrets are asked for, never those of all", async () => {
  const receiver = registered();
  receiver.registrations.add("s2", OTHER, "another");

  await receiver.take(await delivery(about(CREATOR), OWN));
  await receiver.take(await delivery(about(OTHER), "another"));

  assertEquals(receiver.registrations.asked, [CREATOR, OTHER]);
});

Deno.test("a flood that names another creator each time asks a bounded number of times", async () => {
  const receiver = registered();
  assertEquals(await statusOf(receiver, delivery(about(CREATOR), OWN)), 200);
  for (let number = 0; number < MOST_QUESTIONS + 50; number++) {
    await receiver.take(await delivery(about(`nobody-${number}`), "forged"));
  }

  assertEquals(receiver.registrations.asked.length, MOST_QUESTIONS);
  // Whoever is known is served meanwhile, and registering goes on.
  assertEquals(await statusOf(receiver, delivery(about(CREATOR), OWN)), 200);
  receiver.registrations.registering = true;
  assertEquals((await receiver.take(deliver(EVENT))).status, 200);
});

Deno.test("a secret that was registered since we asked is the sender's to repeat, never refused", async () => {
  const receiver = registered();
  const secret = "the-new-secret-of-a-rotated-webhook";
  assertEquals(await statusOf(receiver, delivery(about(CREATOR), OWN)), 200);
  receiver.registrations.add("s2", CREATOR, secret);
  receiver.nowSeconds += 1;

  assertEquals(await statusOf(receiver, delivery(about(CREATOR), secret)), 503);
  assertEquals(receiver.registrations.refused, {});
  receiver.nowSeconds += 2;
  assertEquals(await statusOf(receiver, delivery(about(CREATOR), secret)), 200);
  assertEquals(
    await statusOf(receiver, delivery(about(CREATOR), "forged")),
    401,
  );
});

Deno.test("what is signed before its secret is stored is the sender's to repeat", async () => {
  const receiver = new Receiver();
  receiver.registrations.awaited = CREATOR;

  assertEquals(await statusOf(receiver, delivery(about(CREATOR), OWN)), 503);
  assertEquals(await statusOf(receiver, delivery(about(OTHER), OWN)), 401);
  receiver.registrations.awaited = null;
  receiver.registrations.add("s1", CREATOR, OWN);
  receiver.nowSeconds += 3;

  assertEquals(await statusOf(receiver, delivery(about(CREATOR), OWN)), 200);
});

Deno.test("a delivery that names nobody cannot make us try a thousand secrets", async () => {
  const receiver = registered();
  for (let number = 0; number < 1000; number++) {
    receiver.registrations.add(`t${number}`, OTHER, `secret ${number}`);
  }

  assertEquals(await statusOf(receiver, delivery(about(null), OWN)), 401);
  assertEquals(await statusOf(receiver, delivery(about(CREATOR), OWN)), 200);
});

Deno.test("what the settings' secrets sign costs the database no question", async () => {
  const receiver = registered();

  await receiver.take(await delivery(EVENT, receiver.secrets[0] ?? ""));

  assertEquals(receiver.registrations.asked, []);
});

Deno.test("registered secrets are asked for once a minute", async () => {
  const receiver = registered();
  for (let number = 0; number < 5; number++) {
    await receiver.take(await delivery(about(CREATOR, `${number}`), OWN));
  }
  assertEquals(receiver.registrations.asked.length, 1);

  receiver.nowSeconds += 61;
  await receiver.take(
    await delivery(about(CREATOR), OWN, receiver.nowSeconds),
  );

  assertEquals(receiver.registrations.asked.length, 2);
});

Deno.test("a webhook that was registered a moment ago is found without waiting a minute", async () => {
  const receiver = registered();
  const secret = "the-new-secret-of-a-rotated-webhook";
  assertEquals(await statusOf(receiver, delivery(about(CREATOR), OWN)), 200);
  receiver.registrations.add("s2", CREATOR, secret);
  receiver.nowSeconds += 3;

  assertEquals(await statusOf(receiver, delivery(about(CREATOR), secret)), 200);
  assertEquals(await statusOf(receiver, delivery(about(CREATOR), OWN)), 200);
});

Deno.test("while the database is away a delivery of unknown origin is the sender's to repeat", async () => {
  const receiver = registered();
  receiver.registrations.failure = new DatabaseAway("no answer");

  for (let number = 0; number < 10; number++) {
    assertEquals(await statusOf(receiver, delivery(about(CREATOR), OWN)), 503);
  }
  assertEquals(receiver.registrations.asked.length, 1);

  receiver.registrations.failure = null;
  receiver.nowSeconds += 3;
  assertEquals(await statusOf(receiver, delivery(about(CREATOR), OWN)), 200);
});

Deno.test("an unsigned event is let in while a registration is under way, and stored nowhere", async () => {
  const receiver = new Receiver();
  assertEquals((await receiver.take(deliver(EVENT))).status, 401);
  receiver.registrations.registering = true;
  receiver.nowSeconds += 3;

  const response = await receiver.take(deliver(EVENT));

  assertEquals([response.status, await response.json()], [200, {
    status: "ready",
  }]);
  assertEquals(receiver.received, []);
  assertEquals(await statusOf(receiver, delivery(EVENT, "forged")), 401);
  receiver.registrations.registering = false;
  receiver.nowSeconds += 3;
  assertEquals((await receiver.take(deliver(EVENT))).status, 401);
});

Deno.test("an unsigned event is refused where nobody can say whether it is expected", async () => {
  const receiver = new Receiver();
  receiver.registrations.failure = new DatabaseAway("no answer");

  assertEquals((await receiver.take(deliver(EVENT))).status, 401);
});

Deno.test("a secret that does not open is said, and what it may have signed is kept by the sender", async () => {
  const receiver = registered();
  receiver.registrations.secrets[0] = {
    id: "s1",
    creator: CREATOR,
    sealed: "sealed with a key that is missing",
  };
  receiver.registrations.add("s2", OTHER, "another");

  assertEquals(await statusOf(receiver, delivery(about(CREATOR), OWN)), 503);

  assertEquals(receiver.received, []);
  const line = receiver.logged.find(({ event }) =>
    event === "webhook_secret_not_opened"
  );
  assert(String(line?.fields.error).includes("a key is missing"));
  await receiver.settle();
  assertEquals(receiver.registrations.told.at(-1)?.unopened, ["s1"]);
  assertEquals(receiver.registrations.refused, { not_configured: 1 });
  // Nobody else's deliveries suffer.
  const theirs = delivery(about(OTHER), "another");
  assertEquals(await statusOf(receiver, theirs), 200);
});

Deno.test("what asking for secrets took is no longer there for the commit: the answer is in time", async () => {
  const receiver = registered();
  const ask = receiver.registrations.ask.bind(receiver.registrations);
  receiver.registrations.ask = (creator) => {
    receiver.nowSeconds += 2;
    return ask(creator);
  };

  await receiver.take(await delivery(about(CREATOR), OWN));
  await receiver.take(await delivery(about(CREATOR, "2"), OWN));

  assertEquals(receiver.withinMs, [4_000, 6_000]);
});
