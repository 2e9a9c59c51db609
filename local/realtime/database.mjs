// Connections to the database of the instance: a small pool that lets go of idle ones, and the
// settings that streams of changes share with it.

import postgres from "postgres";

const POOL_SIZE = 4;
// A database that is away refuses at once; a slow one answers late.
const REACH_MS = 60_000;
const CONNECT_SECONDS = 60;

export class Database {
  #url;
  #name;
  #sql;

  /** `name` is what others see of its connections. */
  constructor(url, name) {
    this.#url = url;
    this.#name = name;
    this.#sql = postgres(url, {
      max: POOL_SIZE,
      idle_timeout: 20,
      connect_timeout: CONNECT_SECONDS,
      backoff: () => 0.2,
      onnotice: ({ message }) => console.error(`the database warns: ${message}`),
      connection: {
        application_name: this.#name,
        TimeZone: "UTC",
        client_min_messages: "warning",
      },
    });
  }

  get sql() {
    return this.#sql;
  }

  /** A connection of its own that speaks the replication protocol. */
  openReplication(onclose) {
    return postgres(this.#url, {
      max: 1,
      fetch_types: false,
      idle_timeout: null,
      max_lifetime: null,
      connect_timeout: CONNECT_SECONDS,
      onnotice: () => {},
      onclose,
      connection: {
        application_name: `${this.#name} stream`,
        replication: "database",
        TimeZone: "UTC",
      },
    });
  }

  /** Throws when the database does not answer in time. */
  async reach() {
    let timer;
    const late = new Promise((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error("the database does not answer")), REACH_MS);
    });
    try {
      await Promise.race([this.#sql`select 1`, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Makes the partitions for the days to come and drops those that are too old. */
  async tidy() {
    await this.#sql`select realtime.create_partitions()`;
  }

  async close() {
    await this.#sql.end({ timeout: 1 });
  }
}
