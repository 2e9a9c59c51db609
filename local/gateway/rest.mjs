// REST and Auth: embeds @supabase/lite on the instance's database and corrects what differs from
// the hosted services. It never changes privileges: the migrations alone decide those.

import { inspect } from "node:util";

import { App } from "@supabase/lite";
import { PostgresConnection } from "@supabase/lite/postgres";
import { sql } from "kysely";
import postgres from "postgres";

import { keepLostOut } from "./reservations.mjs";
import { Rpc, timeoutOf } from "./rpc.mjs";
import { isConnectionLost, statusOfSqlState } from "./sql_states.mjs";

const POOL_SIZE = 16;
// A database that is away refuses at once; a slow one accepts late.
const CONNECT_SECONDS = 60;
// What the library itself answers as PostgREST does, sometimes with a better message.
const KNOWN_TO_LIBRARY = /^(2[123]|42|25006|PT|PGRST)/;

/** The library hands over strings as they are and everything else as JSON text already. */
function asJson(value) {
  if (typeof value !== "string") return JSON.stringify(value);
  try {
    JSON.parse(value);
    return value;
  } catch {
    return JSON.stringify(value);
  }
}

const asText = (value) => value;

/** Numbers of up to 15 digits are exact in JSON; longer ones stay text rather than change. */
function parseNumeric(text) {
  return text.replace(/\D/g, "").length <= 15 && Number.isFinite(Number(text))
    ? Number(text)
    : text;
}

/** `2026-11-22 22:26:51.97+00` as PostgREST prints it: `2026-11-22T22:26:51.97+00:00`. */
function parseTimestamp(text) {
  return text.replace(" ", "T").replace(/([+-]\d\d)$/, "$1:00");
}

const TYPES = {
  json: { to: 114, from: [114], serialize: asJson, parse: JSON.parse },
  jsonb: { to: 3802, from: [3802], serialize: asJson, parse: JSON.parse },
  numeric: { to: 1700, from: [1700], serialize: String, parse: parseNumeric },
  timestamp: { to: 1114, from: [1114], serialize: asText, parse: parseTimestamp },
  timestamptz: { to: 1184, from: [1184], serialize: asText, parse: parseTimestamp },
};

/** The library logs every error it answers; one line of it is enough. */
function logAsLine(error, text) {
  return Object.defineProperty(error, inspect.custom, { value: () => text });
}

/** An error that the library turns into exactly this status and body. */
function answerError(status, code, error) {
  const body = {
    code,
    message: error.message,
    details: error.detail ?? null,
    hint: error.hint ?? null,
  };
  const answer = Object.assign(new Error(JSON.stringify(body)), {
    code: "PGRST",
    detail: JSON.stringify({ status, headers: {} }),
  });
  return logAsLine(answer, `${status} ${code}: ${error.message}`);
}

class InstanceConnection extends PostgresConnection {
  /** The library would grant every table to every role here; that is the migrations' affair. */
  ensureRlsContext() {
    return Promise.resolve(true);
  }

  /** Role, claims and time limit in one statement instead of five. */
  async applyJwtSessionContext(transaction, vars) {
    const role = vars.auth?.role || "anon";
    const claims = vars.auth?.jwt ?? { role };
    await sql`select set_config('role', ${role}, true),
      set_config('request.jwt.claim.sub', ${String(vars.auth?.uid ?? "")}, true),
      set_config('request.jwt.claim.role', ${role}, true),
      set_config('request.jwt.claims', ${JSON.stringify(claims)}, true),
      set_config('statement_timeout', ${timeoutOf(role)}, true),
      set_config('storage.operation', ${String(vars.storage?.operation ?? "")}, true)`.execute(
      transaction,
    );
  }

  /** The request's settings in one statement instead of five. */
  async applyRpcRequestGucs(transaction, request) {
    await sql`select set_config('response.status', '', true),
      set_config('response.headers', '', true),
      set_config('request.method', ${request.method}, true),
      set_config('request.path', ${request.path}, true),
      set_config('request.headers', ${JSON.stringify(request.requestHeaders ?? {})}, true)`.execute(
      transaction,
    );
  }

  normalizeDbError(error) {
    const code = String(error?.code ?? "");
    if (isConnectionLost(error)) {
      const lost = new Error("Database client error. Retrying the connection.");
      return answerError(503, "PGRST001", Object.assign(lost, { detail: error.message }));
    }
    const status = KNOWN_TO_LIBRARY.test(code) ? null : statusOfSqlState(code);
    if (status !== null) return answerError(status, code, error);
    return code ? logAsLine(super.normalizeDbError(error), `${code}: ${error.message}`) : error;
  }

  /** The library answers a failed look at the schema with an empty one; an error is honest. */
  async introspect(options) {
    const schema = await super.introspect(options);
    if (schema.functions === undefined) {
      throw Object.assign(new Error("the schema could not be read"), { code: "CONNECTION_LOST" });
    }
    return schema;
  }
}

export class Rest {
  #config;
  #connection;
  #app;
  #rpc;
  #listener = null;
  #provisioning = null;

  constructor(config) {
    this.#config = config;
    this.#connection = new InstanceConnection({
      url: config.databaseUrl,
      postgresOptions: {
        max: POOL_SIZE,
        connect_timeout: CONNECT_SECONDS,
        // Queries wait in the pool while it reconnects: after a restart that must not be seconds.
        backoff: () => 0.2,
        onnotice: () => {},
        connection: { application_name: "gateway", TimeZone: "UTC" },
        types: TYPES,
      },
    });
    keepLostOut(this.#connection.driver);
    this.#rpc = new Rpc(config, this.#connection);
    this.#app = new App({
      connection: this.#connection,
      api: { schemas: config.schemas },
      auth: {
        enabled: true,
        site_url: config.url,
        jwt_secret: config.jwtSecret,
        publishable_key: config.publishableKey,
        secret_key: config.secretKey,
        email: { enable_signup: true, enable_confirmations: false },
      },
    });
  }

  /** True when the database answers and the Auth tables exist. */
  async isReady() {
    try {
      await this.#provision();
      await this.#listen();
      await this.#connection.driver`select 1`;
      return true;
    } catch (error) {
      if (!isConnectionLost(error)) console.error("not ready:", error);
      return false;
    }
  }

  /** Answers a request whose body was read already; `toRequest` builds one for the library. */
  async answer(incoming, url, body, toRequest) {
    try {
      await this.#provision();
      await this.#connection.introspect({ useCache: true });
      const quick = incoming.method === "POST" ? await this.#rpc.answer(incoming, url, body) : null;
      return quick ??
        (await this.#app.fetch(toRequest(), { peerAddress: incoming.socket.remoteAddress }));
    } catch (error) {
      if (!isConnectionLost(error)) throw error;
      return Response.json(
        {
          code: "PGRST001",
          message: "Database client error. Retrying the connection.",
          details: null,
          hint: null,
        },
        { status: 503, headers: { "retry-after": "1" } },
      );
    }
  }

  async close() {
    await this.#listener?.end({ timeout: 1 });
    await this.#connection.driver.end({ timeout: 1 });
  }

  /** Makes the Auth tables in a new database; an existing one is left as it is. */
  #provision() {
    this.#provisioning ??= this.#makeSystemSchema().catch((error) => {
      this.#provisioning = null;
      throw error;
    });
    return this.#provisioning;
  }

  async #makeSystemSchema() {
    const [{ found }] = await this.#connection
      .driver`select to_regclass('auth.users') is not null as found`;
    if (!found) await this.#app.ensureSystemSchema();
  }

  /** Forgets the cached schema when the database says that it changed. */
  async #listen() {
    if (this.#listener) return;
    const listener = postgres(this.#config.databaseUrl, {
      max: 1,
      idle_timeout: 0,
      connect_timeout: CONNECT_SECONDS,
      onnotice: () => {},
      connection: { application_name: "gateway schema watch" },
    });
    this.#listener = listener;
    const forget = () => this.#connection.clearSchemaCache();
    try {
      await listener.listen("pgrst", forget, forget);
    } catch (error) {
      this.#listener = null;
      await listener.end({ timeout: 0 });
      throw error;
    }
  }
}
