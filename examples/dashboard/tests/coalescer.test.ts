import assert from "node:assert/strict";
import { test } from "node:test";
import { Coalescer } from "../lib/coalescer";
import { ManualTimers } from "./manual_timers";

/** A task that says when it began and ends when it is told to. */
class Work {
  readonly starts: number[] = [];
  private readonly endings: (() => void)[] = [];
  mostAtOnce = 0;
  private running = 0;

  constructor(private readonly timers: ManualTimers) {}

  readonly run = async (): Promise<void> => {
    this.starts.push(this.timers.now());
    this.running += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.running);
    await new Promise<void>((resolve) => this.endings.push(resolve));
    this.running -= 1;
  };

  end(): void {
    this.endings.shift()?.();
  }
}

function setup(gap = 150) {
  const timers = new ManualTimers();
  const work = new Work(timers);
  return { timers, work, coalescer: new Coalescer(work.run, gap, timers) };
}

test("the first hint runs at once", () => {
  const { work, coalescer } = setup();
  coalescer.request();
  assert.deepEqual(work.starts, [0]);
});

test("a burst of a hundred hints costs two runs", async () => {
  const { timers, work, coalescer } = setup();
  for (let hint = 0; hint < 100; hint += 1) coalescer.request();
  work.end();
  await timers.advance(1_000);
  work.end();
  await timers.advance(1_000);
  assert.deepEqual(work.starts, [0, 150]);
});

test("two runs are never under way at once", async () => {
  const { timers, work, coalescer } = setup();
  for (let turn = 0; turn < 50; turn += 1) {
    coalescer.request();
    await timers.advance(40);
    if (turn % 3 === 0) work.end();
  }
  assert.equal(work.mostAtOnce, 1);
});

test("a hint during a run gets a run that begins after it", async () => {
  const { timers, work, coalescer } = setup();
  coalescer.request();
  await timers.advance(400);
  coalescer.request();
  assert.deepEqual(work.starts, [0]);
  work.end();
  await timers.advance(0);
  assert.deepEqual(work.starts, [0, 400]);
});

test("the last hint of any burst counts, whenever it comes", async () => {
  for (let last = 0; last <= 600; last += 25) {
    const { timers, work, coalescer } = setup();
    coalescer.request();
    await timers.advance(last);
    coalescer.request();
    for (let turn = 0; turn < 5; turn += 1) {
      work.end();
      await timers.advance(200);
    }
    const latest = work.starts.at(-1);
    assert.ok(latest !== undefined && work.starts.length === 2 && latest >= last, `at ${last}`);
  }
});

test("runs begin at least the gap apart, however many hints come", async () => {
  const { timers, work, coalescer } = setup();
  for (let turn = 0; turn < 200; turn += 1) {
    coalescer.request();
    work.end();
    await timers.advance(10);
  }
  const gaps = work.starts.slice(1).map((start, place) => start - (work.starts[place] ?? 0));
  assert.ok(
    gaps.every((gap) => gap >= 150),
    String(gaps),
  );
  assert.equal(work.starts.length, 14);
});

test("nothing begins after closing, not even what was planned", async () => {
  const { timers, work, coalescer } = setup();
  coalescer.request();
  work.end();
  await timers.advance(10);
  coalescer.request();
  coalescer.close();
  coalescer.request();
  await timers.advance(1_000);
  assert.deepEqual(work.starts, [0]);
});
