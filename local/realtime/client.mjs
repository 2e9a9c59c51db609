// One connected client: reads its frames, keeps its channels, answers heartbeats and what concerns no
// channel. A join holds the whole socket up, as at Supabase: until it is answered, nothing else is
// read and nothing that other channels hear is written.

import { decode, encode } from "./frames.mjs";
import { join, JoinError } from "./join.mjs";

const MAX_BACKLOG_BYTES = 64 * 1024 * 1024;
const RESTARTING = 1012;
const FAREWELL_MS = 10_000;
const LOOK_MS = 20;

export class Client {
  #socket;
  #server;
  #channels = new Map();
  #unread = [];
  #isJoining = false;
  #unsent = [];
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
    if (this.#isJoining) this.#unsent.push(frame);
    else this.#write(frame);
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
    if (message === null) console.error(`a frame of ${data.length} bytes was ignored`);
    else this.#unread.push(message);
    this.#readOn();
  }

  #readOn() {
    while (this.#unread.length && !this.#isJoining) this.#handle(this.#unread.shift());
  }

  #handle(message) {
    const { topic, event, joinRef } = message;
    if (topic === "phoenix") return this.#reply(message, "ok", {});
    if (event === "phx_join" && topic.startsWith("realtime:")) return this.#join(message);
    const channel = this.#channels.get(topic);
    if (!channel) {
      if (event === "phx_leave") this.#reply(message, "ok", {});
      else if (event !== "access_token") {
        this.#reply(message, "error", { reason: "unmatched topic" });
      }
      return;
    }
    if (joinRef === null || joinRef === channel.joinRef) channel.receive(message);
  }

  async #join(message) {
    this.#isJoining = true;
    let joined = null;
    let reason;
    try {
      joined = await join(this, this.#server, message);
    } catch (error) {
      const isKnown = error instanceof JoinError;
      if (!isKnown) console.error(`${message.topic}:`, error);
      reason = isKnown ? error.message : "Unknown Error on Channel";
      await pause(this.#server.settings.refuseJoinMs);
    }
    await this.#server.broadcasts.tend();
    this.#isJoining = false;
    if (this.#socket.readyState !== this.#socket.OPEN) return joined?.channel.detach();
    if (joined === null) this.#reply(message, "error", { reason });
    else this.#open(message, joined);
    for (const frame of this.#unsent.splice(0)) this.#write(frame);
    this.#readOn();
  }

  #open(message, { channel, entries, awaitsReplication }) {
    const before = this.#channels.get(message.topic);
    this.#channels.set(message.topic, channel);
    this.#server.topics.add(channel);
    const changes = entries.map(({ given, id }) => ({ ...given, id }));
    this.#reply(message, "ok", { postgres_changes: changes });
    before?.close();
    if (entries.length) this.#server.changes.subscribe(channel, entries);
    if (awaitsReplication) this.#announceReplication(channel);
  }

  async #announceReplication(channel) {
    if (await this.#server.broadcasts.ready(this.#server.settings.streamPatienceMs)) {
      channel.tell("system", "ok", "Replication connection established");
    } else {
      channel.close("Replication connection was not established in time");
    }
  }

  #reply({ topic, ref, joinRef }, status, response) {
    const payload = JSON.stringify({ status, response });
    this.#write(encode(this.version, { topic, event: "phx_reply", payload, ref, joinRef }));
  }

  #write(frame) {
    if (this.#socket.bufferedAmount > MAX_BACKLOG_BYTES) this.#socket.terminate();
    else this.#socket.send(frame);
  }

  #end() {
    for (const channel of [...this.#channels.values()]) channel.detach();
    this.#server.leave(this);
  }
}

/** Waits by the clock that tests move. */
async function pause(milliseconds) {
  const end = Date.now() + milliseconds;
  while (Date.now() < end) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
}
