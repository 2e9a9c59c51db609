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
  async join({ client, topic, config, changes, setAuth }) {
    const supabase = clients.get(client).client;
    if (setAuth) await supabase.realtime.setAuth();
    const channel = supabase.channel(topic, { config });
    channel.on("broadcast", { event: "*" }, ({ event, payload, meta }) => {
      tell(client, topic, { kind: "broadcast", event, payload, meta });
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
    channel.subscribe((status, error) => {
      tell(client, topic, { kind: "status", status, error: error?.message ?? null });
    });
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
