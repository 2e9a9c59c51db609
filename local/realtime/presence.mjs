// Who is present on which topic: the state that a new channel gets and the differences that follow.
// Keeps nothing once a topic is empty.

import { randomBytes } from "node:crypto";

import { encodeText } from "./frames.mjs";

export class Presence {
  #topics;
  #tracked = new Map();

  constructor(topics) {
    this.#topics = topics;
  }

  /** Everybody present where this channel is, as JSON text. */
  state(channel) {
    const state = {};
    for (const { key, meta } of this.#at(channel).values()) {
      (state[key] ??= { metas: [] }).metas.push(meta);
    }
    return JSON.stringify(state);
  }

  track(channel, payload) {
    const place = this.#at(channel);
    const known = place.get(channel);
    const meta = { ...payload, phx_ref: randomBytes(9).toString("base64url") };
    const entry = { key: channel.presenceKey, meta };
    place.set(channel, entry);
    this.#tracked.set(placeOf(channel), place);
    this.#tell(channel, { joins: [entry], leaves: known ? [known] : [] });
  }

  untrack(channel) {
    const place = this.#at(channel);
    const known = place.get(channel);
    if (!known) return;
    place.delete(channel);
    if (place.size === 0) this.#tracked.delete(placeOf(channel));
    this.#tell(channel, { joins: [], leaves: [known] });
  }

  #at(channel) {
    return this.#tracked.get(placeOf(channel)) ?? new Map();
  }

  #tell(channel, { joins, leaves }) {
    const payload = JSON.stringify({ joins: group(joins), leaves: group(leaves) });
    const frame = (version) =>
      encodeText(version, { topic: channel.topic, event: "presence_diff", payload });
    for (const member of this.#topics.members(channel.name, channel.isPrivate)) {
      member.deliverPresence(frame);
    }
  }
}

function placeOf(channel) {
  return `${channel.isPrivate} ${channel.name}`;
}

function group(entries) {
  return Object.fromEntries(entries.map(({ key, meta }) => [key, { metas: [meta] }]));
}
