// Broadcasts that the database sends: rows of realtime.messages as they are committed, and those of
// the past for channels that ask for a replay.

import { describe, Message } from "./message.mjs";
import { Stream } from "./stream.mjs";

const TIDY_MS = 4 * 3600 * 1000;

export class Broadcasts {
  #database;
  #topics;
  #rate;
  #settings;
  #stream;
  #tidied = 0;

  constructor({ database, topics, rate, settings }) {
    this.#database = database;
    this.#topics = topics;
    this.#rate = rate;
    this.#settings = settings;
    this.#stream = new Stream({
      database,
      publication: "supabase_realtime_messages_publication",
      slot: "supabase_realtime_messages",
      reconnectMs: settings.reconnectMs,
      onTransaction: ({ changes }) => {
        for (const { relation, row } of changes) this.#deliver(relation, row);
      },
    });
  }

  /** Begins to listen, and sees to the partitions now and then. */
  async start() {
    this.#stream.start();
    if (Date.now() - this.#tidied < TIDY_MS) return;
    this.#tidied = Date.now();
    try {
      await this.#database.tidy();
    } catch (error) {
      this.#tidied = 0;
      console.error(`partitions of realtime.messages: ${error.message}`);
    }
  }

  stop() {
    return this.#stream.stop();
  }

  ready(milliseconds) {
    return this.#stream.ready(milliseconds);
  }

  /** The newest messages of a private topic since then, oldest first. */
  async replay(topic, { since, limit }) {
    const rows = await this.#database.sql`
      select id, event, payload::text as payload
      from realtime.messages
      where private and extension = 'broadcast' and topic = ${topic} and payload is not null
        and inserted_at >= to_timestamp(${String(since)}::float8 / 1000) at time zone 'UTC'
      order by inserted_at desc
      limit ${limit}`;
    return rows.reverse().map(({ id, event, payload }) => {
      const meta = { replayed: true, id };
      return { id, payload: describe({ event, body: payload, meta }) };
    });
  }

  #deliver(relation, values) {
    const row = Object.fromEntries(relation.columns.map(({ name }, i) => [name, values[i]]));
    const body = row.binary_payload === null
      ? row.payload
      : Buffer.from(row.binary_payload.slice(2), "hex");
    if (body === null || row.event === null) return;
    // Too many and too large ones vanish, and nobody is told but the log.
    if (this.#rate.isExceeded || Buffer.byteLength(body) > this.#settings.payloadBytes) {
      console.error(`message ${row.id} dropped: too many messages or too large`);
      return;
    }
    this.#rate.add();
    const parts = { event: row.event, body, meta: { id: row.id } };
    const message = new Message(`realtime:${row.topic}`, parts);
    this.#topics.publish(row.topic, row.private === "t", message);
  }
}
