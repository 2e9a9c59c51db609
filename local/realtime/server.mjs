// The Realtime server of an instance: takes connections and HTTP broadcasts on loopback and ends them
// well. It touches the database only while a client is there, and outlives its restarts.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";

import { WebSocketServer } from "ws";

import { Authorization } from "./authorization.mjs";
import { Broadcasts } from "./broadcasts.mjs";
import { Changes } from "./changes.mjs";
import { Client } from "./client.mjs";
import { Database } from "./database.mjs";
import { V1, V2 } from "./frames.mjs";
import { Presence } from "./presence.mjs";
import { Rate } from "./rates.mjs";
import { policyHeaders, RestBroadcasts } from "./rest.mjs";
import { readSettings } from "./settings.mjs";
import { Tokens } from "./tokens.mjs";
import { Topics } from "./topics.mjs";

const HOST = "127.0.0.1";
const SWEEPS = 12;
const DRAIN_MS = 10_000;
const REASONS = { 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests" };

class Server {
  #clients = new Set();
  #sockets;
  #database;
  #sweeper = null;
  #linger = null;

  constructor(config) {
    this.settings = readSettings(config);
    const { settings } = this;
    this.#database = new Database(settings.databaseUrl);
    this.#sockets = new WebSocketServer({ noServer: true, maxPayload: settings.frameBytes });
    this.rates = {
      events: new Rate(settings.eventsPerSecond),
      joins: new Rate(settings.joinsPerSecond),
      presence: new Rate(settings.presencePerSecond),
    };
    this.tokens = new Tokens(settings);
    this.topics = new Topics(this.rates.events);
    this.presence = new Presence(this.topics);
    this.authorization = new Authorization(this.#database);
    const shared = { database: this.#database, rate: this.rates.events, settings };
    this.broadcasts = new Broadcasts({ ...shared, topics: this.topics });
    this.changes = new Changes(shared);
  }

  get connectionCount() {
    return this.#clients.size;
  }

  /** Takes a WebSocket, or refuses it with a status and the words that clients know. */
  async upgrade(incoming, socket, head) {
    socket.on("error", () => {});
    const url = new URL(incoming.url, "http://realtime");
    const version = url.searchParams.get("vsn") ?? V1;
    const key = incoming.headers["x-api-key"] ?? url.searchParams.get("apikey");
    const refusal = this.#refuse(url, version, key);
    if (refusal) {
      await new Promise((resolve) => setTimeout(resolve, this.settings.refuseHandshakeMs));
      return hangUp(socket, ...refusal);
    }
    const headers = policyHeaders(incoming.headers);
    this.#sockets.handleUpgrade(incoming, socket, head, (webSocket) => {
      clearTimeout(this.#linger);
      this.#clients.add(new Client(webSocket, this, { version, key, headers }));
      this.#sweeper ??= setInterval(() => this.#sweep(), this.settings.idleMs / SWEEPS);
    });
  }

  /** Throws unless the database is there; begins to listen to it. */
  async wake() {
    await this.#database.reach();
    await this.broadcasts.start();
    await this.broadcasts.ready(this.settings.streamPatienceMs);
  }

  leave(client) {
    this.#clients.delete(client);
    if (this.#clients.size) return;
    clearInterval(this.#sweeper);
    this.#sweeper = null;
    this.#linger = setTimeout(() => this.#rest(), this.settings.lingerMs);
    this.#linger.unref();
  }

  async close() {
    const gone = new Promise((resolve) => {
      const look = () => (this.#clients.size ? setTimeout(look, 10) : resolve());
      setTimeout(resolve, DRAIN_MS);
      for (const client of this.#clients) client.drain();
      look();
    });
    await gone;
    for (const client of this.#clients) client.terminate();
    await this.#rest();
    await this.#database.close();
  }

  #refuse(url, version, key) {
    if (!/^\/realtime\/v1\/websocket\/?$/.test(url.pathname)) return [404, "Not found"];
    if (version !== V1 && version !== V2) return [400, "Unsupported protocol version"];
    if (!key) return [401, "API key is missing"];
    try {
      this.tokens.readKey(key);
    } catch (error) {
      return [401, error.message.replace(/ \d+ seconds ago$/, "")];
    }
    if (this.#clients.size >= this.settings.maxConnections) {
      return [429, "Too many connected users"];
    }
    return this.rates.joins.isExceeded ? [429, "Too many joins per second"] : null;
  }

  #sweep() {
    for (const client of this.#clients) client.sweep(this.settings);
  }

  async #rest() {
    await Promise.all([this.broadcasts.stop(), this.changes.stop()]);
  }
}

function hangUp(socket, status, error) {
  const body = JSON.stringify({ error });
  const reason = REASONS[status] ?? "Bad Request";
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\ncontent-type: application/json\r\ncontent-length: ${
      Buffer.byteLength(body)
    }\r\nconnection: close\r\n\r\n${body}`,
  );
}

async function answer(rest, incoming, outgoing) {
  const url = new URL(incoming.url, "http://realtime");
  const cors = {
    "access-control-allow-origin": "*",
    "access-control-allow-headers": "apikey, authorization, content-type, x-client-info",
  };
  const { status, headers, body } = rest.serves(url.pathname)
    ? await rest.answer(incoming, url)
    : { status: 404, headers: {}, body: { error: "Not found" } };
  const text = body === undefined ? "" : JSON.stringify(body);
  outgoing.writeHead(status, {
    ...cors,
    ...headers,
    ...(text ? { "content-type": "application/json" } : {}),
    "content-length": String(Buffer.byteLength(text)),
  });
  outgoing.end(text);
}

function main() {
  const config = JSON.parse(readFileSync(process.argv[2], "utf8"));
  const server = new Server(config);
  const rest = new RestBroadcasts(server);
  const http = createServer((incoming, outgoing) => {
    answer(rest, incoming, outgoing).catch((error) => {
      console.error(`${incoming.method} ${incoming.url}:`, error);
      outgoing.destroy();
    });
  });
  http.on("upgrade", (incoming, socket, head) => server.upgrade(incoming, socket, head));
  http.on("error", (error) => {
    console.error(error.message);
    process.exit(1);
  });
  http.listen(config.port, HOST);
  const stop = async () => {
    http.close();
    await server.close();
    process.exit(0);
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
  process.on("unhandledRejection", (error) => console.error("unhandled:", error));
}

main();
