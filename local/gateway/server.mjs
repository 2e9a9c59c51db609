// The one origin of an instance: routes /rest/v1, /auth/v1, /functions/v1 and /realtime/v1, and
// serves Redis over HTTP on a second port. Outlives restarts of the database and of Redis.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";

import { Functions } from "./functions.mjs";
import { verifyToken } from "./jwt.mjs";
import { forward, forwardUpgrade, refuseUpgrade } from "./realtime.mjs";
import { Rest } from "./rest.mjs";
import { createUpstash } from "./upstash.mjs";
import { readBody, sendJson, sendPreflight, sendResponse, toRequest } from "./web.mjs";

const HOST = "127.0.0.1";
const REALTIME = /^\/realtime\/v1(\/|$)/;

/** Old-style keys are JWTs with the role inside; the library only knows the new ones. */
function translateKey(headers, config) {
  const key = headers.get("apikey");
  if (!key || key.startsWith("sb_")) return;
  const role = verifyToken(key, config.jwtSecret)?.role;
  const known = { anon: config.publishableKey, service_role: config.secretKey }[role];
  if (known) headers.set("apikey", known);
}

function createGateway(config, currentRest, functions, upstash) {
  async function health(incoming, outgoing) {
    const [database, redis] = await Promise.all([currentRest().isReady(), upstash.isReady()]);
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

  async function restOrAuth(incoming, outgoing, url) {
    const body = await readBody(incoming);
    const response = await currentRest().answer(incoming, url, body, () => {
      const request = toRequest(incoming, url, body);
      translateKey(request.headers, config);
      return request;
    });
    await sendResponse(incoming, outgoing, response);
  }

  function route(incoming, outgoing) {
    const url = new URL(incoming.url, config.url);
    const path = url.pathname;
    if (path.startsWith("/functions/v1/")) return functions.handle(incoming, outgoing, url);
    if (incoming.method === "OPTIONS") return sendPreflight(incoming, outgoing);
    if (/^\/(rest|auth)\/v1(\/|$)/.test(path)) return restOrAuth(incoming, outgoing, url);
    if (REALTIME.test(path)) return forward(incoming, outgoing, config.realtimePort);
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
  let rest = new Rest(config);
  const functions = new Functions(config);
  const upstash = createUpstash({ redisPort: config.redisPort, token: config.upstashToken });
  const gateway = createGateway(config, () => rest, functions, upstash);
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
    await rest.close();
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
    const broken = rest;
    rest = new Rest(config);
    broken.close().catch((failure) => console.error("not closed:", failure));
  });
}

main();
