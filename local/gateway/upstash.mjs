// Redis over HTTP, the way Upstash serves it: one command, /pipeline, /multi-exec, or a command
// in the path. Keeps no state of its own.

import { timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

import { bearerToken } from "./keys.mjs";
import { encodeReply, Redis, RedisDown, RedisError, Status } from "./resp.mjs";
import { readBody, sendJson } from "./web.mjs";

// Commands that hold a connection or change it for everybody; the hosted service has none either.
const REFUSED = new Set(
  `subscribe psubscribe ssubscribe monitor multi exec discard watch unwatch blpop
  brpop blmove brpoplpush bzpopmin bzpopmax wait select quit hello client reset
  shutdown config debug auth sync psync replicaof slaveof`.split(/\s+/),
);

class BadRequest extends Error {}

function toArgument(part) {
  if (Buffer.isBuffer(part)) return part;
  return typeof part === "object" && part !== null ? JSON.stringify(part) : part ?? "";
}

function checkCommand(command) {
  if (!Array.isArray(command) || command.length === 0) {
    throw new BadRequest("ERR failed to parse command: expected a non-empty array");
  }
  const name = String(command[0]).toLowerCase();
  if (REFUSED.has(name)) throw new BadRequest(`ERR Command is not available: '${command[0]}'`);
  return command.map(toArgument);
}

function toJson(value, base64) {
  if (value instanceof Status) {
    return base64 && value.text !== "OK" ? Buffer.from(value.text).toString("base64") : value.text;
  }
  if (Buffer.isBuffer(value)) return value.toString(base64 ? "base64" : "utf8");
  if (Array.isArray(value)) return value.map((item) => toJson(item, base64));
  if (value instanceof RedisError) return value.message;
  return value;
}

function toAnswer(value, base64) {
  return value instanceof RedisError ? { error: value.message } : { result: toJson(value, base64) };
}

function sameToken(given, expected) {
  const a = Buffer.from(given ?? "");
  const b = Buffer.from(expected);
  return a.length === b.length && timingSafeEqual(a, b);
}

function parseJson(body) {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    throw new BadRequest("ERR failed to parse request body: not valid JSON");
  }
}

/** `/set/key/value?EX=100`: path parts, then a POST body as the value, then the query as options. */
function pathCommand(url, body) {
  const command = url.pathname.split("/").filter((part) => part !== "").map(decodeURIComponent);
  if (body.length) command.push(body);
  for (const [name, value] of url.searchParams) {
    if (name === "_token") continue;
    command.push(name);
    if (value !== "") command.push(value);
  }
  return command;
}

async function runTransaction(redis, commands) {
  const replies = await redis.send([["MULTI"], ...commands, ["EXEC"]]);
  const outcome = replies.at(-1);
  if (outcome instanceof RedisError) throw new BadRequest(outcome.message);
  return outcome;
}

/** One reply, or for a pipeline or transaction a list of them. */
async function run(redis, url, body) {
  if (url.pathname !== "/pipeline" && url.pathname !== "/multi-exec") {
    const command = url.pathname === "/" ? parseJson(body) : pathCommand(url, body);
    const [reply] = await redis.send([checkCommand(command)]);
    return { reply };
  }
  const commands = parseJson(body);
  if (!Array.isArray(commands)) {
    throw new BadRequest("ERR failed to parse pipeline: expected an array");
  }
  const checked = commands.map(checkCommand);
  if (url.pathname === "/pipeline") return { replies: await redis.send(checked) };
  return { replies: await runTransaction(redis, checked) };
}

function sendReply(incoming, outgoing, { reply, replies }) {
  const status = reply instanceof RedisError ? 400 : 200;
  if (incoming.headers["upstash-response-format"] === "resp2") {
    outgoing.writeHead(status, { "content-type": "application/octet-stream" });
    outgoing.end(encodeReply(replies ?? reply));
    return;
  }
  const base64 = incoming.headers["upstash-encoding"] === "base64";
  const value = replies ? replies.map((one) => toAnswer(one, base64)) : toAnswer(reply, base64);
  sendJson(incoming, outgoing, status, value);
}

/** An HTTP server in front of the Redis at `redisPort`. */
export function createUpstash({ redisPort, token }) {
  const redis = new Redis(redisPort);
  const server = createServer(async (incoming, outgoing) => {
    try {
      const url = new URL(incoming.url, "http://upstash");
      const given = bearerToken(incoming.headers.authorization) ?? url.searchParams.get("_token");
      const body = await readBody(incoming);
      if (!sameToken(given, token)) {
        sendJson(incoming, outgoing, 401, { error: "Unauthorized" });
        return;
      }
      sendReply(incoming, outgoing, await run(redis, url, body));
    } catch (error) {
      const status = error instanceof BadRequest ? 400 : error instanceof RedisDown ? 503 : 500;
      if (status === 500) console.error("upstash:", error);
      sendJson(incoming, outgoing, status, {
        error: status === 500 ? "internal error" : error.message,
      });
    }
  });
  return {
    server,
    isReady: async () => {
      try {
        await redis.send([["PING"]]);
        return true;
      } catch {
        return false;
      }
    },
    close: () => redis.close(),
  };
}
