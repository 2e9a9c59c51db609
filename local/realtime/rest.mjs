// Broadcasts over HTTP: many in one request, or one whose body is the payload itself.

import { Message } from "./message.mjs";
import { isNewKey, TokenError } from "./tokens.mjs";

const BATCH = "/realtime/v1/api/broadcast";
const SINGLE = /^\/realtime\/v1\/api\/broadcast\/([^/]+)\/events\/([^/]+)$/;

class Refusal extends Error {
  constructor(status, body) {
    super(`refused with ${status}`);
    this.status = status;
    this.body = body;
  }
}

export class RestBroadcasts {
  #server;

  constructor(server) {
    this.#server = server;
  }

  /** True for paths that are served here. */
  serves(path) {
    return path === BATCH || SINGLE.test(path);
  }

  /** The answer: status, headers, and a JSON body where there is one. */
  async answer(incoming, url) {
    const { events } = this.#server.rates;
    try {
      if (incoming.method !== "POST") throw new Refusal(405, { message: "Method not allowed" });
      const claims = this.#readClaims(incoming, url);
      if (events.isExceeded) throw new Refusal(429, { message: "Too many messages per second" });
      const who = { claims, headers: policyHeaders(incoming.headers) };
      const body = await this.#readBody(incoming);
      const single = SINGLE.exec(url.pathname);
      if (single) await this.#sendOne(incoming, url, { who, body, single });
      else await this.#sendMany(who, body);
      return { status: 202, headers: events.headers };
    } catch (error) {
      if (error instanceof Refusal) {
        return { status: error.status, headers: events.headers, body: error.body };
      }
      throw error;
    }
  }

  #readClaims(incoming, url) {
    const bearer = /^Bearer\s+(\S+)$/i.exec(incoming.headers.authorization ?? "")?.[1];
    const apikey = incoming.headers.apikey ?? url.searchParams.get("apikey");
    const key = bearer && !isNewKey(bearer) ? bearer : apikey ?? bearer;
    try {
      return this.#server.tokens.readKey(key);
    } catch (error) {
      if (error instanceof TokenError) throw new Refusal(401, { message: "Unauthorized" });
      throw error;
    }
  }

  async #readBody(incoming) {
    const chunks = [];
    let size = 0;
    for await (const chunk of incoming) {
      size += chunk.length;
      if (size <= this.#server.settings.frameBytes) chunks.push(chunk);
    }
    if (size > this.#server.settings.frameBytes) throw tooLarge();
    return Buffer.concat(chunks);
  }

  async #sendOne(incoming, url, { who, body, single }) {
    const [topic, event] = single.slice(1).map(decode);
    const isPrivate = url.searchParams.get("private") === "true";
    const type = (incoming.headers["content-type"] ?? "application/json").split(";")[0].trim();
    const isRaw = type === "application/octet-stream";
    if (!isRaw && type !== "application/json") {
      throw new Refusal(415, { error: `unsupported media type: ${type}` });
    }
    if (!isRaw && parse(body) === undefined) {
      throw new Refusal(422, { errors: { payload: ["is invalid"] } });
    }
    this.#checkSize(body);
    if (isPrivate && !await this.#mayWrite(who, topic)) {
      throw new Refusal(403, { message: "Unauthorized" });
    }
    this.#publish(topic, isPrivate, { event, body: isRaw ? body : body.toString("utf8") });
  }

  async #sendMany(who, body) {
    const messages = parse(body)?.messages;
    if (!Array.isArray(messages)) {
      throw new Refusal(422, { errors: { messages: ["can't be blank"] } });
    }
    const errors = messages.map(findErrors);
    if (errors.some((found) => Object.keys(found).length)) {
      throw new Refusal(422, { errors: { messages: errors } });
    }
    for (const { payload } of messages) this.#checkSize(JSON.stringify(payload));
    for (const { topic, event, payload, private: isPrivate = false } of messages) {
      if (isPrivate && !await this.#mayWrite(who, topic)) continue;
      const text = JSON.stringify({ payload, event, type: "broadcast" });
      this.#publish(topic, isPrivate, { event, text });
    }
  }

  #checkSize(payload) {
    if (Buffer.byteLength(payload) > this.#server.settings.payloadBytes) throw tooLarge();
  }

  async #mayWrite(who, topic) {
    try {
      return await this.#server.authorization.mayWrite(who, topic, "broadcast");
    } catch (error) {
      console.error(`realtime:${topic}: ${error.message}`);
      return false;
    }
  }

  #publish(topic, isPrivate, parts) {
    this.#server.rates.events.add();
    this.#server.topics.publish(topic, isPrivate, new Message(`realtime:${topic}`, parts));
  }
}

/** The headers that policies may look at. */
export function policyHeaders(headers) {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith("x-")));
}

function findErrors(message) {
  const errors = {};
  for (const field of ["topic", "event"]) {
    if (typeof message?.[field] !== "string" || !message[field]) errors[field] = ["can't be blank"];
  }
  const payload = message?.payload;
  if (payload === null || typeof payload !== "object") errors.payload = ["can't be blank"];
  return errors;
}

function tooLarge() {
  return new Refusal(422, { errors: { payload: ["Payload size exceeds tenant limit"] } });
}

function parse(bytes) {
  try {
    return JSON.parse(bytes);
  } catch {
    return undefined;
  }
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new Refusal(422, { errors: { topic: ["is invalid"] } });
  }
}
