// Frames of both protocol versions: JSON objects (1.0.0), JSON arrays (2.0.0), and the binary ones in
// which clients of 2.0.0 get broadcasts. Payloads travel as JSON text, so that numbers keep every
// digit. Knows no channels.

const BROADCAST = 4;
const JSON_TEXT = 1;

export const V1 = "1.0.0";
export const V2 = "2.0.0";

/** The message of a text frame, or null when it is none. */
export function decode(version, text) {
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

/** A text frame around a payload that is JSON text already. */
export function encode(version, { topic, event, payload, ref = null, joinRef = null }) {
  const [name, kind, number] = [topic, event, ref].map((value) => JSON.stringify(value));
  return version === V2
    ? `[${JSON.stringify(joinRef)},${number},${name},${kind},${payload}]`
    : `{"topic":${name},"event":${kind},"payload":${payload},"ref":${number}}`;
}

/** What the database sent, as clients of this version get it; `body` is JSON text. */
export function encodeBroadcast(version, { topic, event, id, body }) {
  const meta = JSON.stringify({ id });
  if (version === V1) {
    const name = JSON.stringify(event);
    const payload = `{"event":${name},"payload":${body},"type":"broadcast","meta":${meta}}`;
    return encode(version, { topic, event: "broadcast", payload });
  }
  const fields = [topic, event, meta].map((text) => Buffer.from(text));
  const head = Buffer.from([BROADCAST, ...fields.map((field) => field.length), JSON_TEXT]);
  return Buffer.concat([head, ...fields, Buffer.from(body)]);
}
