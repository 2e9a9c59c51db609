// postgres_changes: reads the publication's changes, asks the database who may see each of them, and
// hands them to those channels in the order of the commits.

import { BindingError, readBinding } from "./bindings.mjs";
import { UNCHANGED } from "./pgoutput.mjs";
import { Stream } from "./stream.mjs";
import { SubscriptionError, Subscriptions } from "./subscriptions.mjs";

const BATCH_CHANGES = 100;
const BATCH_BYTES = 8 * 1024 * 1024;
const SETTLE_MS = 5;
const SETTLE_ATTEMPTS = 12_000;
const SUBSCRIBED = "Subscribed to PostgreSQL";

export class Changes {
  #database;
  #rate;
  #settings;
  #subscriptions;
  #stream;
  #entries = new Map();
  #owners = new Map();
  #entities = new Map();
  #queue = [];
  #working = false;
  #cleared = false;
  #watch = null;
  #turn = Promise.resolve();

  constructor({ database, rate, settings }) {
    this.#database = database;
    this.#rate = rate;
    this.#settings = settings;
    this.#subscriptions = new Subscriptions(database);
    this.#stream = new Stream({
      database,
      publication: "supabase_realtime",
      slot: "supabase_realtime_changes",
      reconnectMs: settings.reconnectMs,
      onTransaction: (transaction) => this.#enqueue(transaction),
      onReady: () => this.#reopened(),
    });
  }

  /** Subscribes a channel that joined with these entries; tells it the outcome in its own time. */
  subscribe(channel, entries) {
    this.#stream.start();
    this.#watch ??= setInterval(() => this.#checkTables(), this.#settings.publicationCheckMs);
    const entry = { channel, entries, made: [], tables: null, timer: null, attempt: 0 };
    this.#entries.set(channel, entry);
    this.#install(entry);
  }

  /** Subscribes it anew, with the claims it has by now. */
  refresh(channel) {
    const entry = this.#entries.get(channel);
    if (entry) this.#later(entry, this.#settings.resubscribeMs);
  }

  unsubscribe(channel) {
    const entry = this.#entries.get(channel);
    if (!entry) return;
    clearTimeout(entry.timer);
    this.#entries.delete(channel);
    const made = entry.made.map(({ uuid }) => uuid);
    this.#alone(() => this.#subscriptions.remove(made))
      .catch((error) => console.error(`subscriptions not removed: ${error.message}`));
    this.#forget(entry);
    if (this.#entries.size) return;
    clearInterval(this.#watch);
    this.#watch = null;
  }

  /** Lets go of the slot; subscriptions end with their channels. */
  stop() {
    clearInterval(this.#watch);
    this.#watch = null;
    return this.#stream.stop();
  }

  #later(entry, milliseconds) {
    clearTimeout(entry.timer);
    entry.timer = setTimeout(() => this.#install(entry), milliseconds);
  }

  async #install(entry) {
    const attempt = ++entry.attempt;
    const isCurrent = () => this.#entries.get(entry.channel) === entry && entry.attempt === attempt;
    try {
      const bindings = entry.entries.map(({ given }) => readBinding(given));
      if (!await this.#stream.ready(this.#settings.streamPatienceMs)) {
        throw new Error("the stream of changes is not open yet");
      }
      await this.#alone(async () => {
        if (!this.#cleared) await this.#clear();
        if (isCurrent()) await this.#replace(entry, bindings);
      });
    } catch (error) {
      if (!isCurrent()) return;
      if (error instanceof BindingError || error instanceof SubscriptionError) {
        entry.channel.tell("postgres_changes", "error", error.message);
        return;
      }
      console.error(`postgres_changes: ${error.message}`);
      this.#later(entry, this.#settings.resubscribeMs);
    }
  }

  /** Subscriptions do not change while a batch is looked at: nothing is told twice or not at all. */
  #alone(task) {
    const done = this.#turn.then(task);
    this.#turn = done.catch(() => {});
    return done;
  }

  async #replace(entry, bindings) {
    const old = entry.made.map(({ uuid }) => uuid);
    entry.tables = await this.#subscriptions.tables();
    const made = await this.#subscriptions.replace(old, bindings, entry.channel.claims);
    this.#forget(entry);
    if (this.#entries.get(entry.channel) !== entry) {
      await this.#subscriptions.remove(made.map(({ uuid }) => uuid));
      return;
    }
    this.#remember(entry, made);
    entry.channel.tell("postgres_changes", "ok", SUBSCRIBED);
  }

  async #clear() {
    this.#cleared = true;
    try {
      await this.#subscriptions.clear(this.#stream.slot);
    } catch (error) {
      this.#cleared = false;
      throw error;
    }
  }

  #remember(entry, made) {
    entry.made = made;
    made.forEach(({ uuid, entities }, i) => {
      this.#owners.set(uuid, { channel: entry.channel, id: entry.entries[i].id });
      for (const entity of entities) {
        this.#entities.set(entity, (this.#entities.get(entity) ?? 0) + 1);
      }
    });
  }

  #forget(entry) {
    const { made } = entry;
    entry.made = [];
    for (const { uuid, entities } of made) {
      this.#owners.delete(uuid);
      for (const entity of entities) {
        const left = this.#entities.get(entity) - 1;
        if (left) this.#entities.set(entity, left);
        else this.#entities.delete(entity);
      }
    }
  }

  #reopened() {
    for (const entry of this.#entries.values()) if (entry.made.length) this.#install(entry);
  }

  async #checkTables() {
    try {
      const tables = await this.#subscriptions.tables();
      for (const entry of this.#entries.values()) {
        if (entry.tables !== null && entry.tables !== tables) this.#install(entry);
      }
    } catch {
      // The database is away; the stream notices that too and opens again.
    }
  }

  #enqueue({ changes, committedAt, xid }) {
    for (const change of changes) {
      if (!this.#entities.has(change.relation.id)) continue;
      const text = JSON.stringify(describeChange(change, committedAt));
      this.#queue.push({ text, xid, bytes: text.length });
    }
    if (!this.#working) this.#work();
  }

  async #work() {
    this.#working = true;
    while (this.#queue.length) {
      const batch = this.#takeBatch();
      try {
        await this.#settle([...new Set(batch.map(({ xid }) => xid))]);
        await this.#alone(() => this.#applyAll(batch.map(({ text }) => text)));
      } catch (error) {
        console.error(`postgres_changes: ${batch.length} changes lost: ${error.message}`);
      }
    }
    this.#working = false;
  }

  #takeBatch() {
    let bytes = 0;
    let count = 0;
    for (const change of this.#queue.slice(0, BATCH_CHANGES)) {
      bytes += change.bytes;
      if (count && bytes > BATCH_BYTES) break;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  /** The log tells of a commit a moment before others can see it. */
  async #settle(xids) {
    for (let attempt = 0; attempt < SETTLE_ATTEMPTS; attempt++) {
      const [{ settled }] = await this.#database
        .sql`select realtime.is_settled(${xids}::bigint[]) as settled`;
      if (settled) return;
      await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    }
  }

  async #applyAll(texts) {
    try {
      await this.#apply(texts);
    } catch (error) {
      if (texts.length === 1) throw error;
      for (const text of texts) await this.#applyAll([text]);
    }
  }

  async #apply(texts) {
    const rows = await this.#database.sql`
      select r.subscription_ids::text[] as subscribers, r.data::text as data
      from jsonb_array_elements(${`[${
      texts.join(",")
    }]`}::text::jsonb) with ordinality c (change, n),
        realtime.apply_rls(c.change) r
      where r.subscription_ids <> '{}'
      order by c.n`;
    for (const { subscribers, data } of rows) this.#deliver(subscribers, data);
  }

  #deliver(subscribers, data) {
    if (this.#rate.isExceeded) {
      console.error("postgres_changes: a change dropped: too many messages");
      return;
    }
    const ids = new Map();
    for (const uuid of subscribers) {
      const owner = this.#owners.get(uuid);
      if (owner) ids.set(owner.channel, [...(ids.get(owner.channel) ?? []), owner.id]);
    }
    this.#rate.add(ids.size);
    for (const [channel, list] of ids) {
      channel.push("postgres_changes", `{"ids":${JSON.stringify(list)},"data":${data}}`);
    }
  }
}

/** A change in the shape of wal2json, its values as the database prints them. */
function describeChange({ action, relation, row, old }, committedAt) {
  const list = (values, wanted) =>
    relation.columns.flatMap((column, i) => {
      if (values[i] === UNCHANGED || !wanted(column)) return [];
      return [{ name: column.name, typeoid: column.type, value: values[i] }];
    });
  return {
    action,
    schema: relation.schema,
    table: relation.table,
    timestamp: committedAt.toISOString(),
    columns: row ? list(row, () => true) : [],
    identity: action === "I" ? [] : list(old ?? row, (column) => column.isKey),
  };
}
