// Sign-up, sign-in and sessions: embeds @supabase/lite for Auth alone, on the instance's database.
// Inside, tokens are signed with the shared secret; users get and send them signed with ES256.

import { App } from "@supabase/lite";
import { PostgresConnection } from "@supabase/lite/postgres";

import { bearerToken } from "./keys.mjs";
import { toRequest } from "./web.mjs";

const POOL_SIZE = 4;
// A database that is away refuses at once; a slow one accepts late.
const CONNECT_SECONDS = 60;
const AWAY = { code: 503, error_code: "unexpected_failure", msg: "the database is away" };
const SIGN_UPS_CLOSED = {
  code: 422,
  error_code: "signup_disabled",
  msg: "Signups not allowed for this instance",
};
const NOT_ADMIN = { code: 403, error_code: "not_admin", msg: "User not allowed" };
const SIGN_UP = "/auth/v1/signup";
const MAKE_USER = "/auth/v1/admin/users";
const LOST = /^(CONNECT|ECONN|EPIPE|ETIMEDOUT|57P0[123]|08)/;

const isConnectionLost = (error) => LOST.test(String(error?.code ?? ""));

class AuthConnection extends PostgresConnection {
  /** The library would grant every table to every role here; that is the migrations' affair. */
  ensureRlsContext() {
    return Promise.resolve(true);
  }
}

export class Auth {
  #config;
  #keys;
  #connection;
  #app;
  #tables = null;

  constructor(config, keys) {
    this.#config = config;
    this.#keys = keys;
    this.#open();
  }

  /** True when the database answers and the Auth tables exist. */
  async isReady() {
    try {
      await this.#makeTables();
      await this.#connection.driver`select 1`;
      return true;
    } catch (error) {
      if (!isConnectionLost(error)) console.error("not ready:", error);
      return false;
    }
  }

  /** Answers a request whose body was read already. */
  async answer(incoming, url, body) {
    if (url.pathname === "/auth/v1/.well-known/jwks.json") {
      return Response.json({ keys: this.#config.publishedKeys });
    }
    if (incoming.method === "POST" && url.pathname === MAKE_USER) {
      return await this.#makeUser(incoming, url, body);
    }
    if (url.pathname === SIGN_UP && !this.#config.signUps) {
      return Response.json(SIGN_UPS_CLOSED, { status: 422 });
    }
    return await this.#ask(incoming, url, body);
  }

  /** The library has no administration: a user is made by a sign-up, and answered as Auth does. */
  async #makeUser(incoming, url, body) {
    if (await this.#keys.roleOf(incoming.headers.apikey) !== "service_role") {
      return Response.json(NOT_ADMIN, { status: 403 });
    }
    const answer = await this.#ask(incoming, new URL(SIGN_UP, url), body);
    return answer.ok ? Response.json((await answer.json()).user) : answer;
  }

  async #ask(incoming, url, body) {
    const request = await this.#inward(toRequest(incoming, url, body));
    if (await this.isReady()) {
      const answer = await this.#app.fetch(request, {
        peerAddress: incoming.socket.remoteAddress,
      });
      if (answer.status < 500 || (await this.isReady())) return await this.#outward(answer);
      // A pool that lost a connection in the middle of a transaction takes it back as a good one.
      this.renew();
    }
    return Response.json(AWAY, { status: 503, headers: { "retry-after": "1" } });
  }

  /** Goes on with new connections. */
  renew() {
    const broken = this.#connection;
    this.#open();
    broken.driver.end({ timeout: 1 }).catch((error) => console.error("not closed:", error));
  }

  async close() {
    await this.#connection.driver.end({ timeout: 1 });
  }

  #open() {
    const { databaseUrl, url, jwtSecret, publishableKey, secretKey } = this.#config;
    this.#connection = new AuthConnection({
      url: databaseUrl,
      postgresOptions: {
        max: POOL_SIZE,
        connect_timeout: CONNECT_SECONDS,
        backoff: () => 0.2,
        onnotice: () => {},
        connection: { application_name: "auth", TimeZone: "UTC" },
      },
    });
    this.#app = new App({
      connection: this.#connection,
      auth: {
        enabled: true,
        site_url: url,
        jwt_secret: jwtSecret,
        publishable_key: publishableKey,
        secret_key: secretKey,
        email: { enable_signup: true, enable_confirmations: false },
      },
    });
  }

  /** Makes the Auth tables in a new database; an existing one is left as it is. */
  #makeTables() {
    this.#tables ??= this.#ensureTables().catch((error) => {
      this.#tables = null;
      throw error;
    });
    return this.#tables;
  }

  async #ensureTables() {
    const [{ found }] = await this.#connection
      .driver`select to_regclass('auth.users') is not null as found`;
    if (!found) await this.#app.ensureSystemSchema();
  }

  /** The library knows its own tokens and new-style keys only. */
  async #inward(request) {
    const key = request.headers.get("apikey");
    const role = await this.#keys.roleOf(key);
    if (role) request.headers.set("apikey", this.#keys.keyOfRole[role]);
    const token = bearerToken(request.headers.get("authorization"));
    const claims = token && (await this.#keys.claims(token));
    if (claims) {
      const own = await this.#keys.signShared(claims);
      request.headers.set("authorization", `Bearer ${own}`);
    }
    return request;
  }

  async #outward(answer) {
    if (!/json/.test(answer.headers.get("content-type") ?? "")) return answer;
    const session = await answer.json();
    const claims = session?.access_token && (await this.#keys.claims(session.access_token));
    if (claims) session.access_token = await this.#keys.signForUsers(claims);
    if (session && "disable_signup" in session) session.disable_signup = !this.#config.signUps;
    const headers = new Headers(answer.headers);
    headers.delete("content-length");
    return Response.json(session, { status: answer.status, headers });
  }
}
