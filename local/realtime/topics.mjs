// Which channels listen to which topic. A private topic and a public one of the same name are two.
// Delivers, and counts what it delivers.

import { encodeBroadcast } from "./frames.mjs";

export class Topics {
  #channels = new Map();
  #rate;

  constructor(rate) {
    this.#rate = rate;
  }

  add(channel) {
    const key = keyOf(channel.name, channel.isPrivate);
    const members = this.#channels.get(key) ?? new Set();
    this.#channels.set(key, members.add(channel));
  }

  remove(channel) {
    const key = keyOf(channel.name, channel.isPrivate);
    const members = this.#channels.get(key);
    if (members?.delete(channel) && members.size === 0) this.#channels.delete(key);
  }

  /** Hands a broadcast to all who joined its topic; each version's frame is made once. */
  publish({ name, isPrivate, ...said }) {
    const frames = {};
    const frame = (version) =>
      frames[version] ??= encodeBroadcast(version, { topic: `realtime:${name}`, ...said });
    const members = this.#channels.get(keyOf(name, isPrivate)) ?? [];
    for (const channel of members) channel.deliver(frame);
    this.#rate.add(members.size ?? 0);
  }
}

function keyOf(name, isPrivate) {
  return `${isPrivate ? "private" : "public"} ${name}`;
}
