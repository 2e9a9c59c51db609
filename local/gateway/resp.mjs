// A small Redis client: one connection, commands answered in order, values left as bytes.
// When the server is away, commands fail at once and the next one connects again.

import { connect } from "node:net";

export class RedisError extends Error {}
export class RedisDown extends Error {}

/** A simple string reply such as OK, told apart from bulk values. */
export class Status {
  constructor(text) {
    this.text = text;
  }
}

const CRLF = Buffer.from("\r\n");

function encode(command) {
  const parts = [Buffer.from(`*${command.length}\r\n`)];
  for (const argument of command) {
    const bytes = Buffer.isBuffer(argument) ? argument : Buffer.from(String(argument));
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, CRLF);
  }
  return Buffer.concat(parts);
}

/** The bytes that Redis itself would send for a reply. */
export function encodeReply(value) {
  if (value instanceof Status) return Buffer.from(`+${value.text}\r\n`);
  if (value instanceof RedisError) return Buffer.from(`-${value.message}\r\n`);
  if (typeof value === "number") return Buffer.from(`:${value}\r\n`);
  if (value === null) return Buffer.from("$-1\r\n");
  if (Buffer.isBuffer(value)) {
    return Buffer.concat([Buffer.from(`$${value.length}\r\n`), value, CRLF]);
  }
  return Buffer.concat([Buffer.from(`*${value.length}\r\n`), ...value.map(encodeReply)]);
}

/** Parses one reply at `start`; null while it is not complete. */
function parse(buffer, start) {
  const end = buffer.indexOf(CRLF, start);
  if (end < 0) return null;
  const text = buffer.toString("utf8", start + 1, end);
  const next = end + 2;
  switch (String.fromCharCode(buffer[start])) {
    case "+":
      return { value: new Status(text), next };
    case "-":
      return { value: new RedisError(text), next };
    case ":":
      return { value: Number(text), next };
    case "$": {
      const length = Number(text);
      if (length < 0) return { value: null, next };
      if (buffer.length < next + length + 2) return null;
      return { value: buffer.subarray(next, next + length), next: next + length + 2 };
    }
    case "*":
      return parseArray(buffer, next, Number(text));
    default:
      throw new RedisDown(`unexpected reply from Redis: ${text.slice(0, 40)}`);
  }
}

function parseArray(buffer, start, length) {
  if (length < 0) return { value: null, next: start };
  const items = [];
  let next = start;
  for (let i = 0; i < length; i += 1) {
    const item = parse(buffer, next);
    if (item === null) return null;
    items.push(item.value);
    next = item.next;
  }
  return { value: items, next };
}

export class Redis {
  #port;
  #socket = null;
  #waiting = [];
  #received = Buffer.alloc(0);

  constructor(port) {
    this.#port = port;
  }

  /** Sends commands back to back, so that nobody else's come between, and awaits all replies. */
  send(commands) {
    this.#socket ??= this.#open();
    const replies = commands.map(
      () => new Promise((resolve, reject) => this.#waiting.push({ resolve, reject })),
    );
    this.#socket.write(Buffer.concat(commands.map(encode)));
    return Promise.all(replies);
  }

  close() {
    this.#socket?.destroy();
  }

  #open() {
    const socket = connect({ port: this.#port, host: "127.0.0.1", noDelay: true });
    let reason = new RedisDown("Redis closed the connection");
    this.#received = Buffer.alloc(0);
    socket.on("data", (chunk) => this.#take(socket, chunk));
    socket.on("error", (error) => {
      reason = new RedisDown(`Redis is not reachable: ${error.code ?? error.message}`);
    });
    socket.on("close", () => {
      this.#socket = null;
      const abandoned = this.#waiting.splice(0);
      for (const { reject } of abandoned) reject(reason);
    });
    return socket;
  }

  #take(socket, chunk) {
    this.#received = this.#received.length ? Buffer.concat([this.#received, chunk]) : chunk;
    let position = 0;
    try {
      for (let reply; (reply = parse(this.#received, position)) !== null; position = reply.next) {
        this.#waiting.shift()?.resolve(reply.value);
      }
    } catch (error) {
      socket.destroy(error);
    }
    this.#received = this.#received.subarray(position);
  }
}
