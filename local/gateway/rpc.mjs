// The short way for the calls that workers make all day: POST /rest/v1/rpc/<name> of a function
// that returns one value. The JSON of the body and of the result pass through as text, so numbers
// keep every digit, as with PostgREST. Anything unusual returns null: the library answers it.

import { bearerToken, verifyToken } from "./jwt.mjs";
import { statusOfSqlState } from "./sql_states.mjs";

const ROLES = new Set(["anon", "authenticated", "service_role"]);
const SCALAR_KINDS = new Set(["b", "d", "e", "p"]);
const UNUSUAL_PREFERENCES = /count=|tx=|params=|max-affected|timezone|missing/;
const JSON_TYPE = /^application\/json\b/i;

/** How long one statement may take: the limits of hosted projects. */
export const timeoutOf = (role) => (role === "anon" ? "3s" : "8s");

const quoteName = (name) => `"${name.replaceAll('"', '""')}"`;

/** Who calls, or null when that needs a closer look. */
function identify(headers, config) {
  const key = headers.apikey;
  const role = { [config.secretKey]: "service_role", [config.publishableKey]: "anon" }[key];
  if (!role) return null;
  const token = bearerToken(headers.authorization);
  if (headers.authorization === undefined || token === key) {
    return { role, claims: { role }, user: "" };
  }
  const claims = token === null ? null : verifyToken(token, config.jwtSecret);
  if (claims === null || !ROLES.has(claims.role) || claims.iat > Date.now() / 1000) return null;
  return { role: claims.role, claims, user: claims.sub ?? "" };
}

function isUsual(headers) {
  const accept = headers.accept ?? "*/*";
  const profile = headers["content-profile"] ?? headers["accept-profile"] ?? "public";
  return (
    JSON_TYPE.test(headers["content-type"] ?? "") &&
    (accept.includes("*/*") || JSON_TYPE.test(accept)) &&
    profile === "public" &&
    !UNUSUAL_PREFERENCES.test(headers.prefer ?? "")
  );
}

/** The statement for a call with these argument names, or null when it is not a plain one. */
function planCall(schema, name, given) {
  const candidates = schema.functions.filter((f) => f.schema === "public" && f.name === name);
  if (candidates.length !== 1) return null;
  const [f] = candidates;
  const plain = !f.return_is_setof && !f.has_variadic && !f.has_out_args &&
    SCALAR_KINDS.has(f.return_typtype);
  if (!plain || (f.return_typtype === "p" && f.return_type !== "void")) return null;
  if (f.arg_names.length !== f.arg_types.length || !f.arg_names.every(Boolean)) return null;
  const required = f.arg_names.slice(0, f.arg_names.length - f.arg_defaults);
  if (
    !given.every((arg) => f.arg_names.includes(arg)) ||
    !required.every((arg) => given.includes(arg))
  ) return null;

  const columns = given.map((arg) => `${quoteName(arg)} ${f.arg_types[f.arg_names.indexOf(arg)]}`);
  const passed = given.map((arg) => `${quoteName(arg)} => a.${quoteName(arg)}`);
  const source = given.length
    ? ` from json_to_record($1::text::json) as a(${columns.join(", ")})`
    : "";
  const call = `public.${quoteName(name)}(${passed.join(", ")})`;
  const isVoid = f.return_type === "void";
  return {
    isVoid,
    sql: `select ${isVoid ? call : `to_json(${call})`}::text as body${source}`,
    takesBody: given.length > 0,
  };
}

export class Rpc {
  #config;
  #connection;
  #plans = new WeakMap();

  constructor(config, connection) {
    this.#config = config;
    this.#connection = connection;
  }

  /** Answers the call, or returns null to leave it to the library; lost connections throw. */
  async answer(incoming, url, body) {
    const name = /^\/rest\/v1\/rpc\/(\w+)$/.exec(url.pathname)?.[1];
    if (!name || url.search || !isUsual(incoming.headers)) return null;
    const caller = identify(incoming.headers, this.#config);
    const text = body.toString("utf8") || "{}";
    const plan = caller && (await this.#plan(name, text));
    return plan ? this.#run(incoming, url, caller, plan, text) : null;
  }

  async #plan(name, text) {
    let parsed;
    try {
      parsed = JSON.parse(text);
    } catch {
      return null;
    }
    if (parsed === null || typeof parsed !== "object" || Array.isArray(parsed)) return null;
    const given = Object.keys(parsed).sort();
    const schema = await this.#connection.introspect({ useCache: true });
    let plans = this.#plans.get(schema);
    if (!plans) this.#plans.set(schema, plans = new Map());
    const key = JSON.stringify([name, ...given]);
    if (!plans.has(key)) plans.set(key, planCall(schema, name, given));
    return plans.get(key);
  }

  async #run(incoming, url, caller, plan, text) {
    try {
      const [, rows, [response]] = await this.#connection.driver.begin((tx) =>
        Promise.all([
          tx`select set_config('role', ${caller.role}, true),
            set_config('statement_timeout', ${timeoutOf(caller.role)}, true),
            set_config('request.jwt.claims', ${JSON.stringify(caller.claims)}, true),
            set_config('request.jwt.claim.sub', ${caller.user}, true),
            set_config('request.jwt.claim.role', ${caller.role}, true),
            set_config('request.method', 'POST', true),
            set_config('request.path', ${url.pathname.slice("/rest/v1".length)}, true),
            set_config('request.headers', ${JSON.stringify(incoming.headers)}, true),
            set_config('response.status', '', true),
            set_config('response.headers', '', true)`,
          tx.unsafe(plan.sql, plan.takesBody ? [text] : [], { prepare: true }),
          tx`select current_setting('response.status', true) as status,
            current_setting('response.headers', true) as headers`,
        ])
      );
      return toResponse(plan, rows, response);
    } catch (error) {
      // The function says itself what to answer; everything is rolled back, the library asks again.
      if (error.code === "PGRST") return null;
      const status = statusOfSqlState(error.code, caller.role);
      if (status === null) throw error;
      const { message, detail = null, hint = null } = error;
      return Response.json({ code: error.code, details: detail, hint, message }, { status });
    }
  }
}

function toResponse(plan, rows, response) {
  const headers = new Headers(
    plan.isVoid ? {} : { "content-type": "application/json; charset=utf-8" },
  );
  for (const entry of JSON.parse(response.headers || "[]")) {
    for (const [name, value] of Object.entries(entry)) headers.append(name, value);
  }
  const status = Number(response.status || (plan.isVoid ? 204 : 200));
  return new Response(plan.isVoid ? null : (rows[0]?.body ?? "null"), { status, headers });
}
