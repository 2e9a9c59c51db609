// How a channel is joined: limits, token, permission, and the answer to it. A refusal is a JoinError
// with the code and words that clients know.

import { forbidden, MissingPartitionError } from "./authorization.mjs";
import { identify } from "./bindings.mjs";
import { Channel } from "./channel.mjs";
import { isNewKey, TokenError } from "./tokens.mjs";

const AWAY = "UnableToConnectToProject: Realtime was unable to connect to the project database";

export class JoinError extends Error {}

/** Joins a client to a topic; returns the channel and what was asked of it, or throws a JoinError. */
export async function join(client, server, { topic, joinRef, ref, payload }) {
  if (client.channelCount >= server.settings.maxChannels) {
    throw new JoinError("ChannelRateLimitReached: Too many channels");
  }
  const name = topic.slice("realtime:".length);
  if (!name) throw new JoinError("TopicNameRequired: You must provide a topic name");
  const { isPrivate, awaitsReplication, changes } = readConfig(payload);
  const { claims, token } = readClaims(client, server, payload);
  await reachDatabase(server);
  if (isPrivate) await authorize(server, name, claims);
  const entries = changes.map((given) => ({ given, id: identify(given) }));
  const details = { topic, joinRef: joinRef ?? ref, isPrivate, claims, token };
  return { channel: new Channel(client, server, details), entries, awaitsReplication };
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
    throw new JoinError(AWAY);
  }
}

async function authorize(server, name, claims) {
  let isAllowed;
  try {
    isAllowed = await server.authorization.mayRead(claims, name);
  } catch (error) {
    if (error instanceof MissingPartitionError) {
      throw new JoinError(`MissingPartition: ${error.message}`);
    }
    console.error(`realtime:${name}: ${error.message}`);
    throw new JoinError(AWAY);
  }
  if (!isAllowed) {
    throw new JoinError(`Unauthorized: ${forbidden(name)}`);
  }
}

/** The configuration of a join; whatever is wrong in it counts as left out. */
function readConfig(payload) {
  const config = object(object(payload).config);
  return {
    awaitsReplication: isTrue(object(config.broadcast).replication_ready),
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
