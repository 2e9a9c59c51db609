// Frames of both protocol versions: JSON objects (1.0.0), JSON arrays and binary (2.0.0). Payloads
// travel as JSON text, so that numbers keep every digit. Knows no channels.

const PUSH = 3;
const BROADCAST = 4;
const RAW = 0;
const JSON_TEXT = 1;
const MAX_FIELD = 255;

export const V1 = "1.0.0";
export const V2 = "2.0.0";

/** The message of a text frame, or null when it is none. */
export function decodeText(version, text) {
  let frame;
  try {
    frame = JSON.parse(text);
  } catch {
    return null;
  }
  if (version === V2) {
    if (!Array.isArray(frame) || frame.length !== 5) return null;
    const [joinRef, ref, topic, event, payload] = frame;
    return check({ joinRef, ref, topic, event, payload });
  }
  if (frame === null || typeof frame !== "object") return null;
  const { join_ref: joinRef, ref, topic, event, payload } = frame;
  return check({ joinRef, ref, topic, event, payload });
}

function check(message) {
  if (typeof message.topic !== "string" || typeof message.event !== "string") return null;
  return { ...message, joinRef: message.joinRef ?? null, ref: message.ref ?? null };
}

/** The broadcast of a binary frame, or null: `userEvent`, and `body` as text or raw bytes. */
export function decodeBinary(bytes) {
  if (bytes.length < 7 || bytes[0] !== PUSH) return null;
  const sizes = bytes.subarray(1, 6);
  let at = 7;
  const fields = [];
  for (const size of sizes) {
    if (at + size > bytes.length) return null;
    fields.push(bytes.toString("utf8", at, at + size));
    at += size;
  }
  const [joinRef, ref, topic, userEvent] = fields;
  const rest = bytes.subarray(at);
  const isText = bytes[6] === JSON_TEXT;
  if (isText) {
    try {
      JSON.parse(rest);
    } catch {
      return null;
    }
  }
  return {
    joinRef: joinRef || null,
    ref: ref || null,
    topic,
    event: "broadcast",
    userEvent,
    body: isText ? rest.toString("utf8") : Buffer.from(rest),
  };
}

/** A text frame around a payload that is JSON text already. */
export function encodeText(version, { topic, event, payload, ref = null, joinRef = null }) {
  const [name, kind, number] = [topic, event, ref].map((value) => JSON.stringify(value));
  return version === V2
    ? `[${JSON.stringify(joinRef)},${number},${name},${kind},${payload}]`
    : `{"topic":${name},"event":${kind},"payload":${payload},"ref":${number}}`;
}

/** A broadcast to clients of version 2.0.0, or null when a field is too long for it. */
export function encodeBroadcast({ topic, event, meta, body }) {
  const fields = [topic, event, meta ? JSON.stringify(meta) : ""].map((text) => Buffer.from(text));
  if (fields.some((field) => field.length > MAX_FIELD)) return null;
  const encoding = typeof body === "string" ? JSON_TEXT : RAW;
  const head = Buffer.from([BROADCAST, ...fields.map((field) => field.length), encoding]);
  return Buffer.concat([head, ...fields, Buffer.from(body)]);
}
