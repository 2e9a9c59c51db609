// What a client may do on a private channel, asked of the policies on realtime.messages by writing
// rows and reading them as that client. Everything asked is rolled back; nothing is kept here.

import { randomUUID } from "node:crypto";

const NOTHING = { broadcast: false, presence: false };
const INSUFFICIENT_PRIVILEGE = "42501";
const NO_PARTITION = "23514";

export class MissingPartitionError extends Error {
  constructor() {
    super("Realtime was unable to find the expected messages partition");
  }
}

class Rollback extends Error {
  constructor(answer) {
    super("asked enough");
    this.answer = answer;
  }
}

export class Authorization {
  #database;

  constructor(database) {
    this.#database = database;
  }

  /** What this client may hear on a topic. */
  async mayRead(who, topic, { presence }) {
    const extensions = presence ? ["broadcast", "presence"] : ["broadcast"];
    const probes = extensions.map((extension) => ({ id: randomUUID(), topic, extension }));
    const allowed = await this.#ask(async (sql) => {
      await sql`insert into realtime.messages ${sql(probes, "id", "topic", "extension")}`;
      await impersonate(sql, who, topic);
      const rows = await sql`select extension from realtime.messages
        where id in ${sql(probes.map((probe) => probe.id))}`;
      return rows.map((row) => row.extension);
    });
    return {
      broadcast: allowed?.includes("broadcast") ?? false,
      presence: allowed?.includes("presence") ?? false,
    };
  }

  /** Whether this client may send on a topic. */
  async mayWrite(who, topic, extension) {
    const written = await this.#ask(async (sql) => {
      await impersonate(sql, who, topic);
      await sql`insert into realtime.messages (topic, extension) values (${topic}, ${extension})`;
      return true;
    });
    return written ?? false;
  }

  /** Runs questions in a transaction that leaves no trace; null when a policy or right denies. */
  async #ask(questions) {
    try {
      await this.#database.sql.begin(async (sql) => {
        throw new Rollback(await questions(sql));
      });
    } catch (error) {
      if (error instanceof Rollback) return error.answer;
      if (error.code === INSUFFICIENT_PRIVILEGE) return null;
      if (error.code === NO_PARTITION) throw new MissingPartitionError();
      if (isAboutPolicy(error)) {
        console.error(`policy on realtime.messages failed: ${error.message}`);
        return null;
      }
      throw error;
    }
    return NOTHING;
  }
}

/** An error with the state of a statement, as opposed to one of the connection. */
function isAboutPolicy(error) {
  return /^[0-9A-Z]{5}$/.test(error.code ?? "") && !/^(E|08|53|57P|58)/.test(error.code);
}

async function impersonate(sql, { claims, headers }, topic) {
  await sql`select set_config('realtime.topic', ${topic}, true),
    set_config('request.jwt.claims', ${JSON.stringify(claims)}, true),
    set_config('request.jwt.claim.sub', ${String(claims.sub ?? "")}, true),
    set_config('request.jwt.claim.role', ${claims.role}, true),
    set_config('request.headers', ${JSON.stringify(headers)}, true),
    set_config('role', ${claims.role}, true)`;
}
