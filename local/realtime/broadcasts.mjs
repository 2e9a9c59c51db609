// Broadcasts that the database sends: rows of realtime.messages as they are committed.

import { Stream } from "./stream.mjs";

const TIDY_MS = 4 * 3600 * 1000;

export class Broadcasts {
  #database;
  #topics;
  #rate;
  #stream;
  #tending = null;

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

  /** Begins to listen. */
  start() {
    this.#stream.start();
  }

  /** Sees to the partitions from now on: for those who ask later, not for who asked first. */
  async tend() {
    if (this.#tending) return;
    this.#tending = setInterval(() => this.#tidy(), TIDY_MS);
    await this.#tidy();
  }

  stop() {
    this.#rest();
    return this.#stream.stop();
  }

  ready(milliseconds) {
    return this.#stream.ready(milliseconds);
  }

  async #tidy() {
    try {
      await this.#database.tidy();
    } catch (error) {
      console.error(`partitions of realtime.messages: ${error.message}`);
      this.#rest();
    }
  }

  #rest() {
    clearInterval(this.#tending);
    this.#tending = null;
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
