import { DatabaseAway } from "../_shared/errors.ts";
import { assertEquals } from "./assertions.ts";
import { MOST_FAILED_REPORTS } from "../fanvue-webhook/gate.ts";
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
  type Registrations,
  statusOf,
} from "./deliveries.ts";

/** A report that the database answers when the test says so, as it says. */
class SlowReport {
  readonly begun = Promise.withResolvers<void>();
  readonly answer = Promise.withResolvers<void>();

  constructor(registrations: Registrations) {
    const tell = registrations.tell.bind(registrations);
    registrations.tell = async (...report) => {
      registrations.tell = tell;
      const answered = tell(...report);
      this.begun.resolve();
      await this.answer.promise;
      return await answered;
    };
  }
}

Deno.test("a flood of forged requests is one question, and one report a few seconds later", async () => {
  const receiver = new Receiver();
  for (let number = 0; number < 100; number++) {
    await receiver.take(await delivery(about(CREATOR), "forged"));
  }
  assertEquals(receiver.registrations.asked.length, 1);
  assertEquals(receiver.background.length, 1);

  receiver.nowSeconds += 3;
  await receiver.settle();

  assertEquals(receiver.registrations.asked.length, 1);
  const told = receiver.registrations.told;
  assertEquals(told.map(({ refused, unopened }) => [refused, unopened]), [
    [{ wrong_signature: 100 }, []],
  ]);
});

Deno.test("what was refused is told by its kind, and nothing of what it held", async () => {
  const receiver = registered();
  await receiver.take(deliver(EVENT));
  await receiver.take(await delivery(about(CREATOR), "forged"));
  await receiver.take(
    await delivery(about(CREATOR), OWN, receiver.nowSeconds - 301),
  );
  await receiver.take(deliver(EVENT, { "x-fanvue-signature": "no form" }));
  await receiver.settle();

  assertEquals(receiver.registrations.refused, {
    unsigned: 1,
    wrong_signature: 2,
    too_old: 1,
  });
});

Deno.test("our own test events are refused like others and counted as nobody's", async () => {
  const receiver = registered();
  const body = '{"id": "t1", "type": "fanvue_sync.test", "data": {}}';

  assertEquals((await receiver.take(deliver(body))).status, 401);
  assertEquals(await statusOf(receiver, delivery(body, "not known yet")), 401);
  await receiver.settle();

  assertEquals(receiver.registrations.refused, {});
});

Deno.test("counts that the database did not take are told again", async () => {
  const receiver = new Receiver();
  await receiver.take(await delivery(about(CREATOR), "forged"));
  receiver.registrations.failure = new DatabaseAway("no answer");
  await receiver.settle();
  receiver.registrations.failure = null;
  const before = receiver.registrations.told.length;
  receiver.nowSeconds += 3;

  await receiver.take(await delivery(about(CREATOR), "forged"));
  await receiver.settle();

  const told = receiver.registrations.told.slice(before);
  const sum = told.map(({ refused }) => refused.wrong_signature ?? 0)
    .reduce((left, right) => left + right, 0);
  assertEquals(sum, 2);
});

Deno.test("what is refused while a report is under way is told without another refusal", async () => {
  const receiver = new Receiver();
  await receiver.take(await delivery(about(CREATOR), "forged"));
  const report = new SlowReport(receiver.registrations);
  const settled = receiver.settle();
  await report.begun.promise;
  receiver.gate.count("too_old");
  report.answer.resolve();
  await settled;

  assertEquals(receiver.registrations.told.map(({ refused }) => refused), [
    { wrong_signature: 1 },
    { too_old: 1 },
  ]);
});

Deno.test("what strangers made us tell holds no delivery up, and fails none", async () => {
  const receiver = registered();
  await receiver.take(await delivery(about(CREATOR), "forged"));
  const report = new SlowReport(receiver.registrations);
  const settled = receiver.settle();
  await report.begun.promise;
  receiver.registrations.registering = true;

  const theirs = delivery(about(OTHER), "forged");
  assertEquals(await statusOf(receiver, theirs), 401);
  assertEquals((await receiver.take(deliver(EVENT))).status, 200);
  report.answer.reject(new DatabaseAway("the row is locked"));
  await settled;
  const nobodys = delivery(about(null), OWN, receiver.nowSeconds);
  assertEquals(await statusOf(receiver, nobodys), 200);

  assertEquals(receiver.registrations.asked, [CREATOR, OTHER, null]);
  const told = receiver.registrations.told;
  assertEquals(told.length, 3);
  assertEquals(told[1], told[0], "a lost answer: the same report once more");
  assertEquals(receiver.registrations.refused, { wrong_signature: 2 });
});

Deno.test("counts that the database did not take are told without another refusal", async () => {
  const receiver = new Receiver();
  await receiver.take(await delivery(about(CREATOR), "forged"));
  const tell = receiver.registrations.tell.bind(receiver.registrations);
  let failures = 2;
  receiver.registrations.tell = (report) =>
    failures-- > 0
      ? Promise.reject(new DatabaseAway("no answer"))
      : tell(report);

  await receiver.settle();

  assertEquals(receiver.registrations.refused, { wrong_signature: 1 });
});

Deno.test("counts of a long outage are told when a question finds the database again", async () => {
  const receiver = registered();
  await receiver.take(await delivery(about(CREATOR), "forged"));
  receiver.registrations.failure = new DatabaseAway("no answer");
  await receiver.settle();
  receiver.registrations.failure = null;
  receiver.registrations.told.length = 0;

  const good = delivery(about(CREATOR), OWN, receiver.nowSeconds);
  assertEquals(await statusOf(receiver, good), 200);
  await receiver.settle();

  assertEquals(receiver.registrations.asked.length, 2);
  assertEquals(receiver.registrations.refused, { wrong_signature: 1 });
});

Deno.test("while the database is away a report ends after a few tries", async () => {
  const receiver = new Receiver();
  await receiver.take(await delivery(about(CREATOR), "forged"));
  receiver.registrations.failure = new DatabaseAway("no answer");

  await receiver.settle();

  assertEquals(receiver.registrations.told.length, MOST_FAILED_REPORTS);
});
