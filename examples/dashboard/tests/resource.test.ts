import assert from "node:assert/strict";
import { test } from "node:test";
import { Failure } from "../lib/failure";
import { Resource } from "../lib/resource";
import { ManualTimers } from "./manual_timers";

test("a failure keeps the last good value, and success takes the failure away", async () => {
  const timers = new ManualTimers();
  const answers: (number | Error)[] = [1, new Error("the database is away"), 2];
  const resource = new Resource(
    async () => {
      const answer = answers.shift();
      if (answer instanceof Error || answer === undefined) throw answer;
      return answer;
    },
    150,
    timers,
  );
  resource.refresh();
  await timers.advance(200);
  assert.equal(resource.read().value, 1);

  resource.refresh();
  await timers.advance(200);
  const failed = resource.read();
  assert.equal(failed.value, 1);
  assert.equal(failed.failure?.sentence, "The database is away.");
  assert.equal(failed.busy, false);

  resource.refresh();
  await timers.advance(200);
  assert.deepEqual([resource.read().value, resource.read().failure], [2, null]);
});

test("what arrives after closing is not shown", async () => {
  const timers = new ManualTimers();
  let answer: (value: number) => void = () => undefined;
  const resource = new Resource<number>(
    () => new Promise((resolve) => (answer = resolve)),
    150,
    timers,
  );
  resource.refresh();
  resource.close();
  answer(1);
  await timers.advance(10);
  assert.equal(resource.read().value, null);
});

test("errors become sentences with their hints", () => {
  const refusal = Failure.from({
    code: "PT429",
    message: "this stream was asked for less than a minute ago",
    hint: "try again in 12 seconds",
  });
  assert.equal(
    refusal.sentence,
    "This stream was asked for less than a minute ago. Try again in 12 seconds.",
  );
  assert.equal(refusal.isSignedOut, false);
  assert.equal(Failure.from({ code: "PGRST301", message: "JWT expired" }).isSignedOut, true);
  assert.match(Failure.from(new TypeError("fetch failed")).sentence, /no answer/);
});
