// One connected client: reads its frames, keeps its channels, answers heartbeats and what concerns no
// channel. Messages of one topic are handled one after the other, those of different topics apart.

import { decode, encode } from "./frames.mjs";
import { join, JoinError } from "./join.mjs";

const READINESS_MS = 30_000;
const MAX_BACKLOG_BYTES = 64 * 1024 * 1024;
const RESTARTING = 1012;
const FAREWELL_MS = 10_000;

export class Client {
  #socket;
  #server;
  #channels = new Map();
  #pending = new Map();
  #heard = Date.now();

  constructor(socket, server, { version, key }) {
    this.#socket = socket;
    this.#server = server;
    this.version = version;
    this.key = key;
    socket.on("message", (data, isBinary) => this.#read(data, isBinary));
    socket.on("ping", () => this.#hear());
    socket.on("pong", () => this.#hear());
    socket.on("error", () => {});
    socket.on("close", () => this.#end());
  }

  get channelCount() {
    return this.#channels.size;
  }

  send(frame) {
    if (this.#socket.bufferedAmount > MAX_BACKLOG_BYTES) this.#socket.terminate();
    else this.#socket.send(frame);
  }

  forget(channel) {
    if (this.#channels.get(channel.topic) === channel) this.#channels.delete(channel.topic);
  }

  /** Ends a connection that is silent. */
  sweep({ idleMs }) {
    if (Date.now() - this.#heard <= idleMs) return;
    this.#socket.close(1000, "timeout");
    setTimeout(() => this.#socket.terminate(), FAREWELL_MS).unref();
  }

  /** Tells every channel that the server goes away, and hangs up; clients come back by themselves. */
  drain() {
    for (const channel of this.#channels.values()) {
      channel.tell("system", "ok", "Server requested disconnect");
    }
    this.#socket.close(RESTARTING, "restarting");
  }

  terminate() {
    this.#socket.terminate();
  }

  #hear() {
    this.#heard = Date.now();
  }

  #read(data, isBinary) {
    this.#hear();
    const message = isBinary ? null : decode(this.version, data.toString("utf8"));
    if (message === null) {
      console.error(`a frame of ${data.length} bytes was ignored`);
    } else if (message.topic === "phoenix") {
      this.#reply(message, "ok", {});
    } else {
      this.#inOrder(message.topic, () => this.#handle(message));
    }
  }

  #inOrder(topic, task) {
    const before = this.#pending.get(topic) ?? Promise.resolve();
    const now = before.then(task).catch((error) => console.error(`${topic}:`, error));
    this.#pending.set(topic, now);
    now.then(() => {
      if (this.#pending.get(topic) === now) this.#pending.delete(topic);
    });
  }

  async #handle(message) {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    const { topic, event, joinRef } = message;
    if (event === "phx_join" && topic.startsWith("realtime:")) return await this.#join(message);
    const channel = this.#channels.get(topic);
    if (!channel) {
      if (event === "phx_leave") this.#reply(message, "ok", {});
      else if (event !== "access_token") {
        this.#reply(message, "error", { reason: "unmatched topic" });
      }
      return;
    }
    if (joinRef === null || joinRef === channel.joinRef) await channel.receive(message);
  }

  async #join(message) {
    const { settings } = this.#server;
    let joined;
    try {
      joined = await join(this, this.#server, message);
    } catch (error) {
      const isKnown = error instanceof JoinError;
      if (!isKnown) console.error(`${message.topic}:`, error);
      await pause(settings.refuseJoinMs);
      const reason = isKnown ? error.message : "Unknown Error on Channel";
      this.#reply(message, "error", { reason });
      return;
    }
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    this.#channels.get(message.topic)?.close();
    const channel = joined.open();
    this.#channels.set(message.topic, channel);
    this.#server.topics.add(channel);
    const changes = joined.entries.map(({ given, id }) => ({ ...given, id }));
    this.#reply(message, "ok", { postgres_changes: changes });
    if (joined.entries.length) this.#server.changes.subscribe(channel, joined.entries);
    if (joined.config.awaitsReplication) this.#announceReplication(channel);
  }

  async #announceReplication(channel) {
    if (await this.#server.broadcasts.ready(READINESS_MS)) {
      channel.tell("system", "ok", "Replication connection established");
    } else {
      channel.close("Replication connection is not established");
    }
  }

  #reply({ topic, ref, joinRef }, status, response) {
    const payload = JSON.stringify({ status, response });
    this.send(encode(this.version, { topic, event: "phx_reply", payload, ref, joinRef }));
  }

  #end() {
    for (const channel of [...this.#channels.values()]) channel.detach();
    this.#server.leave(this);
  }
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
