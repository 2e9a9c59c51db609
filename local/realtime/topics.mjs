// Which channels listen to which topic. A private topic and a public one of the same name are two.
// Delivers, and counts what it delivers.

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

  members(name, isPrivate) {
    return this.#channels.get(keyOf(name, isPrivate)) ?? [];
  }

  /** Hands a message to all who may read it, but not to `except`. */
  publish(name, isPrivate, message, except = null) {
    let count = 0;
    for (const channel of this.members(name, isPrivate)) {
      if (channel !== except && channel.deliver(message)) count++;
    }
    this.#rate.add(count);
  }
}

function keyOf(name, isPrivate) {
  return `${isPrivate ? "private" : "public"} ${name}`;
}
