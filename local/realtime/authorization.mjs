// Whether a client may hear a private channel, asked of the policies on realtime.messages by writing a
// row and reading it as that client. Everything asked is rolled back; nothing is kept here.

import { randomUUID } from "node:crypto";

const INSUFFICIENT_PRIVILEGE = "42501";
const NO_PARTITION = "23514";

export class MissingPartitionError extends Error {
  constructor() {
    super("Realtime was unable to find the expected messages partition");
  }
}

/** The words for whoever may not hear a topic. */
export function forbidden(name) {
  return `You do not have permissions to read from this Channel topic: ${name}`;
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

  /** Whether somebody with these claims may hear a topic. */
  async mayRead(claims, topic) {
    const id = randomUUID();
    try {
      await this.#database.sql.begin(async (sql) => {
        await sql`insert into realtime.messages (id, topic, extension)
          values (${id}, ${topic}, 'broadcast')`;
        await impersonate(sql, claims, topic);
        throw new Rollback(await sql`select from realtime.messages where id = ${id}`);
      });
    } catch (error) {
      if (error instanceof Rollback) return error.answer.length > 0;
      if (error.code === NO_PARTITION) throw new MissingPartitionError();
      if (!isAboutPolicy(error)) throw error;
      if (error.code !== INSUFFICIENT_PRIVILEGE) {
        console.error(`policy on realtime.messages failed: ${error.message}`);
      }
    }
    return false;
  }
}

/** An error with the state of a statement, as opposed to one of the connection. */
function isAboutPolicy(error) {
  return /^[0-9A-Z]{5}$/.test(error.code ?? "") && !/^(E|08|53|57P|58)/.test(error.code);
}

async function impersonate(sql, claims, topic) {
  await sql`select set_config('realtime.topic', ${topic}, true),
    set_config('request.jwt.claims', ${JSON.stringify(claims)}, true),
    set_config('request.jwt.claim.sub', ${String(claims.sub ?? "")}, true),
    set_config('request.jwt.claim.role', ${claims.role}, true),
    set_config('role', ${claims.role}, true)`;
}
