// The Realtime server of an instance: takes connections on loopback and ends them well. It
// touches the database only while a client is there, and outlives its restarts.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";

import { WebSocketServer } from "ws";

import { Authorization } from "./authorization.mjs";
import { Broadcasts } from "./broadcasts.mjs";
import { Changes } from "./changes.mjs";
import { Client } from "./client.mjs";
import { Database } from "./database.mjs";
import { V1, V2 } from "./frames.mjs";
import { Rate } from "./rates.mjs";
import { readSettings } from "./settings.mjs";
import { Tokens } from "./tokens.mjs";
import { Topics } from "./topics.mjs";

const HOST = "127.0.0.1";
const SWEEPS = 12;
const DRAIN_MS = 10_000;
const REASONS = { 401: "Unauthorized", 404: "Not Found" };

class Server {
  #clients = new Set();
  #sockets;
  #database;
  #sweeper = null;
  #linger = null;

  constructor(config) {
    this.settings = readSettings(config);
    const { settings } = this;
    this.#database = new Database(settings.databaseUrl, `realtime ${settings.port}`);
    this.#sockets = new WebSocketServer({ noServer: true });
    const rate = new Rate(settings.eventsPerSecond);
    this.tokens = new Tokens(settings);
    this.topics = new Topics(rate);
    this.authorization = new Authorization(this.#database);
    const shared = { database: this.#database, rate, settings };
    this.broadcasts = new Broadcasts({ ...shared, topics: this.topics });
    this.changes = new Changes(shared);
  }

  /** Takes a WebSocket, or refuses it with a status and the words that clients know. */
  upgrade(incoming, socket, head) {
    socket.on("error", () => {});
    const url = new URL(incoming.url, "http://realtime");
    const version = url.searchParams.get("vsn") ?? V1;
    const key = incoming.headers["x-api-key"] ?? url.searchParams.get("apikey");
    const refusal = this.#refuse(url, version, key);
    if (refusal) return hangUp(socket, ...refusal);
    this.#sockets.handleUpgrade(incoming, socket, head, (webSocket) => {
      clearTimeout(this.#linger);
      this.#clients.add(new Client(webSocket, this, { version, key }));
      this.#sweeper ??= setInterval(() => this.#sweep(), this.settings.idleMs / SWEEPS);
    });
  }

  /** Throws unless the database is there; begins to listen to it, which takes its own time. */
  async wake() {
    await this.#database.reach();
    this.broadcasts.start();
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
    return null;
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

function main() {
  const config = JSON.parse(readFileSync(process.argv[2], "utf8"));
  const server = new Server(config);
  const http = createServer((_incoming, outgoing) => {
    outgoing.writeHead(404, { "content-type": "application/json" });
    outgoing.end(JSON.stringify({ error: "Not found" }));
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
