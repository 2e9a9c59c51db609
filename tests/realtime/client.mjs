// The real JavaScript client for tests: reads commands as JSON lines, writes what happens as JSON
// lines. Decides nothing; every expectation is in the tests.

import { createInterface } from "node:readline";

import { createClient } from "@supabase/supabase-js";
import WebSocket from "ws";

// No join or push is given up because a machine is slow.
const TIMEOUT_MS = 240_000;
const clients = new Map();

function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function tell(client, topic, event) {
  say({ client, topic, event });
}

const commands = {
  open({ client, url, key, token = null, version, heartbeat = 25000, late = false }) {
    const holder = { client: null };
    // Until it is given one, a late client waits for its token as for a slow sign-in.
    holder.token = late ? new Promise((resolve) => (holder.arrive = resolve)) : token;
    const options = {
      auth: { persistSession: false, autoRefreshToken: false },
      realtime: { transport: WebSocket, heartbeatIntervalMs: heartbeat, timeout: TIMEOUT_MS },
    };
    if (version) options.realtime.vsn = version;
    if (late || token !== null) options.accessToken = () => Promise.resolve(holder.token);
    holder.client = createClient(url, key, options);
    clients.set(client, holder);
  },
  async join({ client, topic, config, changes, setAuth, presence }) {
    const supabase = clients.get(client).client;
    if (setAuth) await supabase.realtime.setAuth();
    const channel = supabase.channel(topic, { config });
    channel.on("broadcast", { event: "*" }, ({ event, payload, meta }) => {
      const body = payload instanceof ArrayBuffer
        ? { binary: Buffer.from(payload).toString("hex") }
        : payload;
      tell(client, topic, { kind: "broadcast", event, payload: body, meta: meta ?? null });
    });
    channel.on("system", {}, ({ status, message, extension }) => {
      tell(client, topic, { kind: "system", status, message, extension });
    });
    changes.forEach((binding, index) => {
      channel.on("postgres_changes", binding, (change) => {
        const { eventType, table, errors, commit_timestamp } = change;
        tell(client, topic, {
          kind: "change",
          index,
          type: eventType,
          table,
          new: change.new,
          old: change.old,
          errors,
          commit_timestamp,
        });
      });
    });
    if (presence) {
      const sync = () => tell(client, topic, { kind: "presence", state: channel.presenceState() });
      channel.on("presence", { event: "sync" }, sync);
    }
    channel.subscribe((status, error) => {
      tell(client, topic, { kind: "status", status, error: error?.message ?? null });
    });
  },
  async send({ client, topic, event, payload, binary }) {
    const body = binary ? Uint8Array.from(Buffer.from(binary, "hex")).buffer : payload;
    return await find(client, topic).send({ type: "broadcast", event, payload: body });
  },
  async post({ client, topic, event, payload, config }) {
    const channel = clients.get(client).client.channel(topic, { config });
    return await channel.httpSend(event, payload);
  },
  async track({ client, topic, payload }) {
    return await find(client, topic).track(payload);
  },
  async untrack({ client, topic }) {
    return await find(client, topic).untrack();
  },
  async setToken({ client, token }) {
    const holder = clients.get(client);
    holder.arrive?.(token);
    holder.token = token;
    // Otherwise the channels get it with the next heartbeat.
    await holder.client.realtime.setAuth();
  },
  async leave({ client, topic }) {
    return await clients.get(client).client.removeChannel(find(client, topic));
  },
  async close({ client }) {
    const { client: supabase } = clients.get(client);
    await supabase.removeAllChannels();
    await supabase.realtime.disconnect();
    clients.delete(client);
  },
};

function find(client, topic) {
  const wanted = `realtime:${topic}`;
  return clients.get(client).client.getChannels().find((channel) => channel.topic === wanted);
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, command, ...rest } = JSON.parse(line);
  Promise.resolve()
    .then(() => commands[command](rest))
    .then((answer) => say({ id, answer: answer ?? null }))
    .catch((error) => say({ id, error: error.message }));
}
process.exit(0);
