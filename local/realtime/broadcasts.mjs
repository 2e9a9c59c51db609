// Broadcasts that the database sends: rows of realtime.messages as they are committed.

import { Stream } from "./stream.mjs";

const TIDY_MS = 4 * 3600 * 1000;

export class Broadcasts {
  #database;
  #topics;
  #rate;
  #stream;
  #tidied = 0;

  constructor({ database, topics, rate, settings }) {
    this.#database = database;
    this.#topics = topics;
    this.#rate = rate;
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

  #deliver(relation, values) {
    const row = Object.fromEntries(relation.columns.map(({ name }, i) => [name, values[i]]));
    if (row.payload === null || row.event === null) return;
    // Too many vanish, and nobody is told but the log.
    if (this.#rate.isExceeded) {
      console.error(`message ${row.id} dropped: too many messages`);
      return;
    }
    this.#rate.add();
    const { topic: name, event, id, payload: body } = row;
    this.#topics.publish({ name, isPrivate: row.private === "t", event, id, body });
  }
}
