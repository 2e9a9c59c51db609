// The one origin of an instance: routes /rest/v1, /auth/v1, /functions/v1 and /realtime/v1, and
// serves Redis over HTTP on a second port. Outlives restarts of the database and of Redis.

import { readFileSync } from "node:fs";
import { Agent, createServer } from "node:http";

import { Auth } from "./auth.mjs";
import { Functions } from "./functions.mjs";
import { Keys } from "./keys.mjs";
import { forward, forwardUpgrade, refuseUpgrade, sendAway } from "./proxy.mjs";
import { createUpstash } from "./upstash.mjs";
import { readBody, sendJson, sendPreflight, sendResponse } from "./web.mjs";

const HOST = "127.0.0.1";
const REALTIME = /^\/realtime\/v1(\/|$)/;

// PostgREST closes what was idle for half a minute; what is idle for long is not used again.
const REST_CONNECTIONS = new Agent({ keepAlive: true, timeout: 5_000 });
const REST_ANSWER_MS = 120_000;
const REST_AWAY = { message: "PostgREST is not running; see `python -m local status`" };
const NO_KEY = {
  message: "No API key found in request, or one that is not known here",
  hint: "Send the publishable or the secret key as `apikey` header.",
};

function createGateway(config, keys, auth, functions, upstash) {
  async function health(incoming, outgoing) {
    const [database, redis] = await Promise.all([auth.isReady(), upstash.isReady()]);
    const status = database && redis ? "ok" : "degraded";
    sendJson(incoming, outgoing, database ? 200 : 503, {
      status,
      database,
      redis,
      instance: config.instance,
    });
  }

  function index(incoming, outgoing) {
    const paths = ["/rest/v1", "/auth/v1", "/functions/v1", "/realtime/v1", "/health"];
    sendJson(incoming, outgoing, 200, {
      name: "local Supabase-compatible stack",
      url: config.url,
      paths,
    });
  }

  async function rest(incoming, outgoing, url) {
    const token = await keys.tokenFor(incoming.headers);
    if (token === null) return sendJson(incoming, outgoing, 401, NO_KEY);
    const { apikey: _key, ...headers } = incoming.headers;
    return forward(incoming, outgoing, {
      port: config.postgrestPort,
      path: (url.pathname.slice("/rest/v1".length) || "/") + url.search,
      headers: { ...headers, authorization: `Bearer ${token}` },
      agent: REST_CONNECTIONS,
      timeout: REST_ANSWER_MS,
    }, () => sendAway(incoming, outgoing, REST_AWAY));
  }

  async function authenticate(incoming, outgoing, url) {
    const body = await readBody(incoming);
    await sendResponse(incoming, outgoing, await auth.answer(incoming, url, body));
  }

  function route(incoming, outgoing) {
    const url = new URL(incoming.url, config.url);
    const path = url.pathname;
    if (path.startsWith("/functions/v1/")) return functions.handle(incoming, outgoing, url);
    if (incoming.method === "OPTIONS") return sendPreflight(incoming, outgoing);
    if (/^\/rest\/v1(\/|$)/.test(path)) return rest(incoming, outgoing, url);
    if (path.startsWith("/auth/v1/")) return authenticate(incoming, outgoing, url);
    if (path === "/health") return health(incoming, outgoing);
    if (path === "/") return index(incoming, outgoing);
    return sendJson(incoming, outgoing, 404, { error: `nothing is served at ${path}` });
  }

  const server = createServer((incoming, outgoing) => {
    Promise.resolve()
      .then(() => route(incoming, outgoing))
      .catch((error) => fail(incoming, outgoing, error));
  });
  server.on("upgrade", (incoming, socket, head) => {
    if (REALTIME.test(incoming.url)) {
      return forwardUpgrade(incoming, socket, head, config.realtimePort);
    }
    const error = `nothing is served at ${incoming.url}`;
    return refuseUpgrade(socket, 404, "Not Found", { error });
  });
  server.keepAliveTimeout = 65_000;
  return server;
}

function fail(incoming, outgoing, error) {
  console.error(`${incoming.method} ${incoming.url}:`, error);
  if (outgoing.headersSent) {
    outgoing.destroy();
    return;
  }
  const message = "internal error of the local gateway; see its log";
  sendJson(incoming, outgoing, 500, { code: "GATEWAY", message });
}

function main() {
  const config = JSON.parse(readFileSync(process.argv[2], "utf8"));
  const keys = new Keys(config);
  const auth = new Auth(config, keys);
  const functions = new Functions(config);
  const upstash = createUpstash({ redisPort: config.redisPort, token: config.upstashToken });
  const gateway = createGateway(config, keys, auth, functions, upstash);
  for (const [server, port] of [[gateway, config.port], [upstash.server, config.upstashPort]]) {
    server.on("error", (error) => {
      console.error(error.message);
      process.exit(1);
    });
    server.listen(port, HOST);
  }
  const stop = async () => {
    gateway.close();
    upstash.server.close();
    functions.close();
    upstash.close();
    await auth.close();
    process.exit(0);
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
  process.on("unhandledRejection", (error) => console.error("unhandled:", error));
  // The database's driver may write to a connection that was closed that very moment, and throws
  // where nobody can catch it. What becomes of its pool then is not known: another one goes on.
  process.on("uncaughtException", (error) => {
    console.error("uncaught:", error);
    if (!error.stack?.includes("/node_modules/postgres/")) process.exit(1);
    auth.renew();
  });
}

main();
