// One channel of one client: what it may do, what it hears and says, and when it ends. It is joined
// already; how that happens is written in join.mjs.

import { encodeText } from "./frames.mjs";
import { Message } from "./message.mjs";
import { Window } from "./rates.mjs";
import { checkLifetime, isNewKey, TokenError } from "./tokens.mjs";

const OK = '{"status":"ok","response":{}}';

export class Channel {
  #client;
  #server;
  #config;
  #token;
  #expiry = null;
  #canRead = { broadcast: true, presence: true };
  #canWrite = {};
  #isOpen = true;
  #presenceWindow;
  // Ids that a replay has delivered: their live copies are held back.
  #replayed = new Set();

  constructor(client, server, { topic, joinRef, config, claims, token, canRead }) {
    this.#client = client;
    this.#server = server;
    this.#config = config;
    this.#token = token;
    this.topic = topic;
    this.name = topic.slice("realtime:".length);
    this.joinRef = joinRef;
    this.claims = claims;
    if (canRead) this.#canRead = canRead;
    const { clientPresence, clientPresenceMs } = server.settings;
    this.#presenceWindow = new Window(clientPresence, clientPresenceMs);
    this.#watchExpiry();
  }

  get isPrivate() {
    return this.#config.isPrivate;
  }

  get presenceKey() {
    return this.#config.presenceKey;
  }

  get isOpen() {
    return this.#isOpen;
  }

  /** Hands it a broadcast; false when it does not get it. */
  deliver(message) {
    if (!this.#canRead.broadcast || this.#replayed.delete(message.id)) return false;
    const frame = message.frame(this.#client.version);
    if (frame === null) return false;
    this.#client.send(frame);
    return true;
  }

  deliverPresence(frame) {
    if (this.#config.hasPresence && this.#canRead.presence) {
      this.#client.send(frame(this.#client.version));
    }
  }

  /** Sends an event to this client alone; `payload` is JSON text. */
  push(event, payload, refs = {}) {
    if (this.#isOpen) this.#send(event, payload, refs);
  }

  /** Sends a `system` message. */
  tell(extension, status, message) {
    const payload = JSON.stringify({ message, status, extension, channel: this.name });
    this.push("system", payload, { joinRef: this.joinRef });
  }

  /** Delivers what was sent before it joined. */
  replay(messages) {
    for (const { id, payload } of messages) {
      this.#replayed.add(id);
      this.push("broadcast", payload, { joinRef: this.joinRef });
    }
  }

  pushPresenceState() {
    if (!this.#config.hasPresence || !this.#canRead.presence) return;
    this.push("presence_state", this.#server.presence.state(this), { joinRef: this.joinRef });
  }

  /** Answers what the client sends on it, except joins. */
  async receive({ event, payload, ref, userEvent, body }) {
    if (!this.#isOpen) return;
    if (event === "phx_leave") {
      this.#reply(ref, OK);
      this.close();
    } else if (event === "access_token") {
      await this.#renew(payload?.access_token ?? payload?.user_token);
    } else if (event === "broadcast") {
      await this.#broadcast(ref, { payload, userEvent, body });
    } else if (event === "presence") {
      await this.#presence(ref, payload);
    }
  }

  /** Ends it: with a reason, the client is told that first. */
  close(reason = null) {
    if (!this.#isOpen) return;
    if (reason !== null) this.tell("system", "error", reason);
    this.push("phx_close", "{}", { ref: this.joinRef, joinRef: this.joinRef });
    this.detach();
  }

  /** Forgets it without a word, as when the client is gone. */
  detach() {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    clearTimeout(this.#expiry);
    this.#server.topics.remove(this);
    this.#server.presence.untrack(this);
    this.#server.changes.unsubscribe(this);
    this.#client.forget(this);
  }

  async #broadcast(ref, { payload, userEvent, body }) {
    const { rates, settings, topics } = this.#server;
    rates.events.add();
    if (rates.events.isExceeded) return this.close("Too many messages per second");
    const parts = userEvent === undefined
      ? { event: payload?.event, text: JSON.stringify(payload ?? {}) }
      : { event: userEvent, body };
    if (Buffer.byteLength(parts.body ?? parts.text) > settings.payloadBytes) {
      if (!this.#config.ack) return;
      return this.#reply(ref, '{"status":"error","response":"payload_size_exceeded"}');
    }
    if (!await this.#mayWrite("broadcast")) return;
    const except = this.#config.self ? null : this;
    topics.publish(this.name, this.isPrivate, new Message(this.topic, parts), except);
    if (this.#config.ack) this.#reply(ref, OK);
  }

  async #presence(ref, payload) {
    const { rates, presence } = this.#server;
    rates.presence.add();
    if (rates.presence.isExceeded) return this.close("Too many presence messages per second");
    if (!this.#presenceWindow.take()) return this.close("Client presence rate limit exceeded");
    const kind = String(payload?.event).toLowerCase();
    if (kind === "track" && await this.#mayWrite("presence")) {
      presence.track(this, payload.payload ?? {});
    } else if (kind === "untrack") {
      presence.untrack(this);
    }
    this.#reply(ref, OK);
  }

  /** Asked at the first send and remembered until the token changes. */
  async #mayWrite(extension) {
    if (!this.isPrivate) return true;
    const who = { claims: this.claims, headers: this.#client.headers };
    try {
      this.#canWrite[extension] ??= await this.#server.authorization
        .mayWrite(who, this.name, extension);
    } catch (error) {
      console.error(`${this.topic}: ${error.message}`);
    }
    return this.#isOpen && (this.#canWrite[extension] ?? false);
  }

  async #renew(token) {
    if (token === null || token === undefined || isNewKey(token) || token === this.#token) return;
    try {
      const claims = this.#server.tokens.read(token);
      if (this.isPrivate) await this.#readAgain(claims);
      this.#token = token;
      this.claims = claims;
      this.#canWrite = {};
      this.#watchExpiry();
      this.#server.changes.refresh(this);
    } catch (error) {
      this.close(error.message);
      if (!(error instanceof TokenError)) console.error(`${this.topic}: ${error.message}`);
    }
  }

  async #readAgain(claims) {
    const who = { claims, headers: this.#client.headers };
    const presence = this.#config.hasPresence;
    const canRead = await this.#server.authorization.mayRead(who, this.name, { presence });
    if (!canRead.broadcast && !canRead.presence) {
      const text = `You no longer have permission to read from this Channel topic: ${this.name}`;
      throw new TokenError("Unauthorized", text);
    }
    this.#canRead = canRead;
  }

  #watchExpiry() {
    clearTimeout(this.#expiry);
    const left = this.claims.exp * 1000 - Date.now();
    const wait = Math.min(this.#server.settings.tokenCheckMs, Math.max(0, left));
    this.#expiry = setTimeout(() => {
      try {
        checkLifetime(this.claims);
        this.#watchExpiry();
      } catch (error) {
        this.close(error.message);
      }
    }, wait);
    this.#expiry.unref();
  }

  #reply(ref, payload) {
    this.push("phx_reply", payload, { ref, joinRef: this.joinRef });
  }

  #send(event, payload, { ref = null, joinRef = null }) {
    const frame = { topic: this.topic, event, payload, ref, joinRef };
    this.#client.send(encodeText(this.#client.version, frame));
  }
}
