import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { AgencyData } from "../lib/agency_data";
import type { Client } from "../lib/project_client";
import { Resource } from "../lib/resource";
import { ManualTimers } from "./manual_timers";

const MINUTE = 60_000;
const AS_OF = "2026-11-20T12:00:00.123456+00:00";
const page = { hidden: false, addEventListener() {}, removeEventListener() {} };
Object.assign(globalThis, { document: page, window: page });

/** A project that answers everything with nothing, counts what it is asked, and says what a test says. */
class Project {
  asked = 0;
  /** Of the figures that there are. */
  stamp: string | null = null;
  /** What cannot be fetched. */
  missing: string | null = null;
  /** Since when rows were asked for. */
  readonly since: unknown[] = [];
  /** The streams that there are, and the conditions under which some of them were asked for. */
  streams: unknown[] = [];
  readonly conditions: unknown[] = [];
  /** What rows were narrowed to by a list. */
  readonly filters: unknown[] = [];
  private readonly ears = new Map<string, (message: unknown) => void>();
  private tell: (status: string) => void = () => undefined;

  readonly client = {
    realtime: { setAuth: async () => undefined },
    removeChannel: async () => undefined,
    channel: () => this.channel,
    from: (name: string) => this.answer(name === "sync_health" ? this.streams : [], name),
    rpc: (name: string) =>
      this.answer(name === "stats_head" ? { stamp: this.stamp, as_of: AS_OF } : [], name),
  } as unknown as Client;

  private readonly channel = {
    on: (kind: string, { event }: { event?: string }, ear: (message: unknown) => void) =>
      this.ears.set(event ?? kind, ear),
    subscribe: (tell: (status: string) => void) => {
      this.tell = tell;
    },
  };

  join(): void {
    this.tell("SUBSCRIBED");
  }

  flow(): void {
    this.ears.get("system")?.({ status: "ok", message: "Replication connection established" });
  }

  lose(): void {
    this.tell("CHANNEL_ERROR");
  }

  say(event: string, payload: object = { model_id: "m", sync_type: "earnings" }): void {
    this.ears.get(event)?.({ payload });
  }

  answer(data: unknown, what: string): unknown {
    this.asked += 1;
    const error = what === this.missing ? new Error("not there") : null;
    const chain: unknown = new Proxy(() => undefined, {
      get: (_, name) =>
        name === "then"
          ? (resolve: (answer: unknown) => void) =>
              resolve({ data: error ? null : data, error, count: (data as unknown[]).length })
          : (...given: unknown[]) => {
              if (name === "in") this.filters.push(given);
              if (name === "or") this.conditions.push(given[0]);
              if (name === "gte" && given[0] === "synced_at") this.since.push(given[1]);
              return chain;
            },
    });
    return chain;
  }
}

async function open() {
  const [project, timers] = [new Project(), new ManualTimers()];
  const data = new AgencyData(project.client, "a", timers);
  const sums = new Resource<number>(async () => (project.asked += 1), 150, timers);
  data.watchSums(sums.refresh);
  data.open();
  await timers.advance(1_000);
  return { project, timers, data };
}

async function openLive() {
  const opened = await open();
  opened.project.join();
  opened.project.flow();
  await opened.timers.advance(1_000);
  opened.project.asked = 0;
  return opened;
}

test("a hint is followed by the streams of its creator alone, a look by those of all", async () => {
  const { project, timers } = await openLive();
  project.filters.length = 0;

  project.say("sync_state");
  await timers.advance(1_000);
  assert.deepEqual(project.filters, [["model_id", ["m"]]]);

  await timers.advance(1.25 * MINUTE);
  assert.equal(project.filters.length, 1);
});

/** Opens a page that knows one stream, which is well. */
async function openFresh() {
  const opened = await open();
  const { project } = opened;
  project.streams = [stream({})];
  opened.data.refreshAll();
  await opened.timers.advance(1_000);
  project.conditions.length = 0;
  project.asked = 0;
  return opened;
}

function stream(changes: object): object {
  const at = "2026-11-20T12:00:00+00:00";
  const calm = { health: "fresh", last_success_at: at, next_sync_at: null, job_state: null };
  return { model_id: "m", sync_type: "earnings", ...calm, ...changes };
}

const SYNCED =
  "last_success_at.gte.2026-11-20T11:59:00.000Z,health.neq.fresh,job_state.not.is.null";

test("of streams that are shown those are fetched that were synced since, or are not fresh", async () => {
  const { project, timers, data } = await openFresh();
  project.streams = [];

  data.refreshHealth();
  await timers.advance(1_000);
  project.say("sync_state");
  await timers.advance(1_000);

  assert.equal(project.asked, 2);
  assert.deepEqual(project.conditions, [SYNCED, SYNCED]);
  assert.equal(data.health.read().value?.length, 1);

  data.refreshAll();
  await timers.advance(1_000);
  assert.equal(project.conditions.length, 2);
  assert.deepEqual(data.health.read().value, []);
});

test("a hint about one creator hides no sync of another", async () => {
  const { project, timers, data } = await openFresh();
  project.streams = [stream({ last_success_at: "2026-11-20T13:00:00+00:00" })];

  project.say("sync_state");
  await timers.advance(1_000);
  data.refreshHealth();
  await timers.advance(1_000);

  assert.deepEqual(project.conditions, [SYNCED, SYNCED]);
});

const REST = { health: "at rest" };
for (const change of [{ health: "paused" }, REST, { job_state: "queued" }]) {
  test(`what became fresh without a sync is fetched with all: ${JSON.stringify(change)}`, async () => {
    const { project, timers, data } = await openFresh();
    project.streams = [stream(change)];
    data.refreshHealth();
    await timers.advance(1_000);
    project.streams = [];
    project.asked = 0;

    data.refreshHealth();
    await timers.advance(1_000);

    assert.equal(project.asked, 2);
    assert.deepEqual(data.health.read().value, []);
  });
}

for (const [end, requests] of [
  ["12:15:00", 1],
  ["12:15:01", 2],
] as const) {
  test(`a stream due at 12:05 is overdue by the newest sync, not by the browser: ${end}`, async () => {
    const { project, timers, data } = await openFresh();
    project.streams = [stream({ next_sync_at: "2026-11-20T12:05:00+00:00" })];
    data.refreshAll();
    await timers.advance(1_000);
    const other = stream({ model_id: "n", last_success_at: `2026-11-20T${end}+00:00` });
    project.streams = [other];
    project.asked = 0;

    data.refreshHealth();
    await timers.advance(1_000);

    assert.equal(project.asked, requests);
    assert.equal(data.health.read().value?.length, requests === 1 ? 2 : 1);
  });
}

test("what could not be fetched of the streams is fetched with all", async () => {
  const { project, timers, data } = await openFresh();
  project.missing = "sync_health";
  data.refreshHealth();
  await timers.advance(1_000);
  project.missing = null;
  project.streams = [];
  data.refreshHealth();
  await timers.advance(1_000);

  assert.deepEqual(project.conditions, [SYNCED]);
  assert.deepEqual(data.health.read().value, []);
});

test("who asks for a sync is shown the streams of all, whatever hints just named", async () => {
  const { project, timers, data } = await openLive();
  project.filters.length = 0;

  project.say("sync_state");
  await timers.advance(1_000);
  data.refreshHealth();
  await timers.advance(1_000);
  data.health.refresh();
  await timers.advance(1_000);

  assert.equal(project.asked, 3);
  assert.equal(project.filters.length, 1);
});

test("a hint that may be about more creators than it names is followed by all streams", async () => {
  const { project, timers } = await openLive();
  project.filters.length = 0;
  const items = [{ model_id: "m" }, { model_id: "n" }];

  project.say("job", { changed: ["job"], items });
  await timers.advance(1_000);
  assert.deepEqual(project.filters, [["model_id", ["m", "n"]]]);

  project.say("transactions", { changed: ["transactions", "sync_state"], items });
  await timers.advance(1_000);
  project.say("job", { items: [] });
  await timers.advance(1_000);
  project.say("job", { items: Array.from({ length: 51 }, (_, n) => ({ model_id: `${n}` })) });
  await timers.advance(1_000);
  assert.equal(project.filters.length, 1);
});

beforeEach(() => {
  page.hidden = false;
});

test("a page is live, and fetches everything, once the server says that its stream flows", async () => {
  const { project, timers, data } = await open();
  assert.equal(project.asked, 5);

  project.join();
  await timers.advance(1_000);
  assert.equal(data.readConnection(), "connecting");
  assert.equal(project.asked, 5);

  project.flow();
  await timers.advance(1_000);
  assert.equal(data.readConnection(), "live");
  assert.equal(project.asked, 10);
});

test("a live page that is told nothing asks whether figures changed within a minute or so, for ever", async () => {
  const { project, timers } = await openLive();
  for (let look = 0; look < 10; look += 1) {
    await timers.advance(1.25 * MINUTE);
    assert.ok(project.asked >= 1, `look ${look}`);
    project.asked = 0;
  }
});

/** Opens a page that looked once, at figures of the stamp 1, which its sums have. */
async function openLooked() {
  const opened = await openLive();
  opened.project.stamp = "1";
  opened.data.noteStamp("1");
  await opened.timers.advance(1.25 * MINUTE);
  opened.project.asked = 0;
  return opened;
}

test("a sale whose hint was lost is fetched by the next look, though sums were fetched since", async () => {
  const { project, timers, data } = await openLooked();
  project.stamp = "2";
  project.say("sync_state", { changed: ["sync_state"], items: [{ sync_type: "account" }] });
  data.noteStamp("2");
  await timers.advance(1.25 * MINUTE);

  assert.deepEqual(project.since, ["2026-11-20T11:59:00.123Z"]);
  // the streams that the hint named, a look or two, and these sales
  assert.ok(project.asked >= 3 && project.asked <= 4, `${project.asked}`);
  await timers.advance(1.25 * MINUTE);
  assert.equal(project.since.length, 1);
});

for (const what of ["fanvue_transactions", "model_overview", "announcements"]) {
  test(`what could not be fetched is fetched by the next look: ${what}`, async () => {
    const { project, timers, data } = await openLooked();
    project.missing = what;
    data.refreshAll();
    await timers.advance(1_000);
    project.missing = null;
    project.asked = 0;
    await timers.advance(1.25 * MINUTE);

    assert.ok(project.asked >= 5, `${project.asked}`);
    assert.equal(data.feed.read().failure, null);
    assert.equal(data.models.read().failure, null);
    assert.equal(data.arrival.read().failure, null);
  });
}

test("figures that changed and were not told of are fetched with the sales since, and no streams", async () => {
  const { project, timers } = await openLooked();
  await timers.advance(1.25 * MINUTE);
  assert.ok(project.asked === 1 || project.asked === 2, `${project.asked}`);

  project.stamp = "2";
  project.asked = 0;
  await timers.advance(1.25 * MINUTE);
  assert.ok(project.asked >= 3, `${project.asked}`);
  assert.ok(project.since.length >= 1);
  assert.equal(project.filters.length, 0);
});

test("a sale is followed by the newest sales of its creator alone", async () => {
  const { project, timers } = await openLive();
  project.filters.length = 0;

  project.say("transactions", { changed: ["transactions"], items: [{ model_id: "m" }] });
  await timers.advance(1_000);
  assert.deepEqual(project.filters, [["model_id", ["m"]]]);

  project.say("transactions", { changed: ["transactions"], items: [{}] });
  await timers.advance(1_000);
  assert.equal(project.filters.length, 1);
});

test("what an hourly poll brings to the sums is left to the next look, which is no function call", async () => {
  const { project, timers, data } = await openLooked();
  let fetched = 0;
  data.watchSums(() => {
    fetched += 1;
    data.noteStamp("2");
  });
  for (const type of ["account", "top_fans", "subscribers", "followers", "messages", "posts"]) {
    project.say("sync_state", { model_id: "m", sync_type: type });
    await timers.advance(1_000);
  }
  assert.equal(fetched, 0);

  project.stamp = "2";
  await timers.advance(1.25 * MINUTE);
  assert.equal(fetched, 1);
});

test("how fresh the streams are is looked at with every fifth look", async () => {
  const { data, timers } = await openLive();
  let fetched = 0;
  data.health.subscribe(() => {
    if (!data.health.read().busy) fetched += 1;
  });
  await timers.advance(25 * MINUTE);
  assert.ok(fetched >= 4 && fetched <= 6, `${fetched}`);
});

test("a page looks more often while its channel is away, from the moment of the loss", async () => {
  const { project, timers } = await openLive();
  project.lose();
  await timers.advance(0.75 * MINUTE);
  assert.ok(project.asked >= 5);
});

test("a page that nobody sees asks for nothing", async () => {
  const { project, timers } = await openLive();
  page.hidden = true;
  await timers.advance(60 * MINUTE);
  assert.equal(project.asked, 0);
});

test("a quiet hour costs a request a minute, a busy one no more than its hints ask", async () => {
  const quiet = await openLive();
  quiet.project.stamp = "1";
  quiet.data.noteStamp("1");
  await quiet.timers.advance(60 * MINUTE);
  const busy = await openLive();
  for (let second = 0; second < 3_600; second += 1) {
    // A sale every three seconds, and a stream that was synced every ten.
    if (second % 3 === 0) busy.project.say("transactions");
    if (second % 10 === 0) busy.project.say("sync_state");
    await busy.timers.advance(1_000);
  }

  assert.ok(
    quiet.project.asked >= 48 && quiet.project.asked <= 80 + 4 * 16,
    `${quiet.project.asked}`,
  );
  const hinted = 2 * 1_200 + 360;
  assert.ok(
    busy.project.asked > hinted && busy.project.asked <= hinted + 5 * 80,
    `${busy.project.asked}`,
  );
});
