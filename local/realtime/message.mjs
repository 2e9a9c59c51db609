// One broadcast on its way to many clients: its frame is made once per protocol version, in the form
// that its origin asks for.

import { encodeBroadcast, encodeText, V1, V2 } from "./frames.mjs";

export class Message {
  #frames = {};
  #topic;
  #parts;

  /**
   * `body` is JSON text or raw bytes; `text` is the whole payload as JSON text where its origin
   * decides that, and then every client gets text.
   */
  constructor(topic, parts) {
    this.#topic = topic;
    this.#parts = parts;
  }

  /** What a client of this version gets; null when it cannot be told. */
  frame(version) {
    this.#frames[version] ??= { value: this.#encode(version) };
    return this.#frames[version].value;
  }

  get id() {
    return this.#parts.meta?.id;
  }

  #encode(version) {
    const { event, body, meta, text } = this.#parts;
    if (text === undefined && version === V2) {
      const frame = encodeBroadcast({ topic: this.#topic, event, meta, body });
      if (frame !== null || typeof body !== "string") return frame;
    }
    if (text === undefined && typeof body !== "string") return null;
    const payload = text ?? describe(this.#parts);
    return encodeText(version === V1 ? V1 : V2, {
      topic: this.#topic,
      event: "broadcast",
      payload,
    });
  }
}

/** The payload of a broadcast as text frames carry it. */
export function describe({ event, body, meta }) {
  const more = meta ? `,"meta":${JSON.stringify(meta)}` : "";
  return `{"event":${JSON.stringify(event)},"payload":${body},"type":"broadcast"${more}}`;
}
