// One channel of one client: what it hears, and when it ends. It is joined already; how that happens
// is written in join.mjs.

import { forbidden } from "./authorization.mjs";
import { encode } from "./frames.mjs";
import { checkLifetime, isNewKey, TokenError } from "./tokens.mjs";

const OK = '{"status":"ok","response":{}}';

export class Channel {
  #client;
  #server;
  #token;
  #expiry = null;
  #isOpen = true;
  #turn = Promise.resolve();

  constructor(client, server, { topic, joinRef, isPrivate, claims, token }) {
    this.#client = client;
    this.#server = server;
    this.#token = token;
    this.topic = topic;
    this.name = topic.slice("realtime:".length);
    this.joinRef = joinRef;
    this.isPrivate = isPrivate;
    this.claims = claims;
    this.#watchExpiry();
  }

  /** Hands it a broadcast, which is made for the version that its client speaks. */
  deliver(frame) {
    this.#client.send(frame(this.#client.version));
  }

  /** Sends an event to this client alone; `payload` is JSON text. */
  push(event, payload, { ref = null, joinRef = null } = {}) {
    if (!this.#isOpen) return;
    const frame = { topic: this.topic, event, payload, ref, joinRef };
    this.#client.send(encode(this.#client.version, frame));
  }

  /** Sends a `system` message. */
  tell(extension, status, message) {
    const payload = JSON.stringify({ message, status, extension, channel: this.name });
    this.push("system", payload, { joinRef: this.joinRef });
  }

  /** Answers what the client sends on it, except joins: one after the other. */
  receive(message) {
    this.#turn = this.#turn.then(() => this.#answer(message));
  }

  async #answer({ event, payload, ref }) {
    if (!this.#isOpen) return;
    if (event === "phx_leave") {
      this.push("phx_reply", OK, { ref, joinRef: this.joinRef });
      this.close();
    } else if (event === "access_token") {
      await this.#renew(payload?.access_token ?? payload?.user_token);
    } else {
      // Clients of this project only listen: see docs/decisions/0011-one-hint-per-commit.md.
      console.error(`${this.topic}: ${event} is not served here`);
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
    this.#server.changes.unsubscribe(this);
    this.#client.forget(this);
  }

  async #renew(token) {
    if (token === null || token === undefined || isNewKey(token) || token === this.#token) return;
    try {
      const claims = this.#server.tokens.read(token);
      if (this.isPrivate) await this.#readAgain(claims);
      this.#token = token;
      this.claims = claims;
      this.#watchExpiry();
      this.#server.changes.refresh(this);
    } catch (error) {
      // A wrong signature is not put into words here.
      this.close(error.code === "JwtSignatureError" ? ":signature_error" : error.message);
      if (!(error instanceof TokenError)) console.error(`${this.topic}: ${error.message}`);
    }
  }

  async #readAgain(claims) {
    if (await this.#server.authorization.mayRead(claims, this.name)) return;
    throw new TokenError("Unauthorized", forbidden(this.name));
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
}
