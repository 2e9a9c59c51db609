// How a channel is joined: limits, token, permission, and the answer to it. A refusal is a JoinError
// with the code and words that clients know.

import { randomUUID } from "node:crypto";

import { MissingPartitionError } from "./authorization.mjs";
import { identify } from "./bindings.mjs";
import { Channel } from "./channel.mjs";
import { isNewKey, TokenError } from "./tokens.mjs";

export class JoinError extends Error {
  /** With `fatal`, the whole connection ends. */
  constructor(reason, { fatal = false } = {}) {
    super(reason);
    this.fatal = fatal;
  }
}

/** Joins a client to a topic; returns the channel and what to answer, or throws a JoinError. */
export async function join(client, server, { topic, joinRef, ref, payload }) {
  checkLimits(client, server);
  const name = topic.slice("realtime:".length);
  if (!name) throw new JoinError("TopicNameRequired: You must provide a topic name");
  const config = readConfig(payload);
  const { claims, token } = readClaims(client, server, payload);
  if (server.settings.privateOnly && !config.isPrivate) {
    throw new JoinError("PrivateOnly: This project only allows private channels");
  }
  await reachDatabase(server);
  const canRead = config.isPrivate
    ? await authorize(client, server, { name, config, claims })
    : null;
  const past = config.replay ? await readPast(server, name, config) : [];
  const entries = config.changes.map((given) => ({ given, id: identify(given) }));
  const open = () => {
    const details = { topic, joinRef: joinRef ?? ref, config, claims, token, canRead };
    return new Channel(client, server, details);
  };
  return { open, config, entries, past };
}

function checkLimits(client, server) {
  const { rates, settings } = server;
  rates.joins.add();
  if (rates.joins.isExceeded) {
    throw new JoinError("ClientJoinRateLimitReached: Too many joins per second", { fatal: true });
  }
  if (client.channelCount >= settings.maxChannels) {
    throw new JoinError("ChannelRateLimitReached: Too many channels");
  }
  if (server.connectionCount > settings.maxConnections) {
    throw new JoinError("ConnectionRateLimitReached: Too many connected users");
  }
}

/** The token of the join, or that of the connection when there is none. */
function readClaims(client, server, payload) {
  const token = payload?.user_token ?? payload?.access_token;
  try {
    if (token === undefined || token === null || isNewKey(token)) {
      return { claims: server.tokens.readKey(client.key), token: client.key };
    }
    return { claims: server.tokens.read(token), token };
  } catch (error) {
    if (error instanceof TokenError) throw new JoinError(`${error.code}: ${error.message}`);
    throw error;
  }
}

async function reachDatabase(server) {
  try {
    await server.wake();
  } catch (error) {
    console.error(`the database is out of reach: ${error.message}`);
    throw new JoinError("Realtime was unable to connect to the project database");
  }
}

async function authorize(client, server, { name, config, claims }) {
  const who = { claims, headers: client.headers };
  let canRead;
  try {
    canRead = await server.authorization.mayRead(who, name, { presence: config.hasPresence });
  } catch (error) {
    if (error instanceof MissingPartitionError) {
      throw new JoinError(`MissingPartition: ${error.message}`);
    }
    console.error(`realtime:${name}: ${error.message}`);
    throw new JoinError("Realtime was unable to connect to the project database");
  }
  if (!canRead.broadcast && !canRead.presence) {
    throw new JoinError(
      `Unauthorized: You do not have permissions to read from this Channel topic: ${name}`,
    );
  }
  return canRead;
}

async function readPast(server, name, { replay, isPrivate }) {
  if (!isPrivate) {
    throw new JoinError("UnableToReplayMessages: Replay is not allowed for public channels");
  }
  const { since, limit = server.settings.replayLimit } = replay;
  const isNumber = Number.isInteger(since) && Number.isInteger(limit);
  if (!isNumber || limit < 1 || limit > server.settings.replayLimit) {
    throw new JoinError("UnableToReplayMessages: Replay params are not valid");
  }
  return await server.broadcasts.replay(name, { since, limit });
}

/** The configuration of a join; whatever is wrong in it counts as left out. */
function readConfig(payload) {
  const config = object(object(payload).config);
  const broadcast = object(config.broadcast);
  const presence = object(config.presence);
  const replay = broadcast.replay;
  return {
    self: isTrue(broadcast.self),
    ack: isTrue(broadcast.ack),
    awaitsReplication: isTrue(broadcast.replication_ready),
    replay: replay !== null && typeof replay === "object" ? replay : null,
    hasPresence: isTrue(presence.enabled),
    presenceKey: presence.key || randomUUID(),
    isPrivate: isTrue(config.private),
    changes: Array.isArray(config.postgres_changes) ? config.postgres_changes : [],
  };
}

function object(value) {
  return value !== null && typeof value === "object" ? value : {};
}

function isTrue(value) {
  return value === true || value === "true";
}
