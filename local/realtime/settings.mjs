// What the Realtime server is told, over what it assumes: the limits and delays of a hosted project.
// The pauses before refusals are left out: they protect a shared service and slow a local one.

export const DEFAULTS = {
  maxChannels: 100,
  eventsPerSecond: 100,
  // A client that says nothing for this long is dropped.
  idleMs: 60_000,
  tokenCheckMs: 300_000,
  refuseJoinMs: 0,
  // How long a join waits for the stream of broadcasts, so that a first client misses nothing.
  streamPatienceMs: 60_000,
  // How long the streams outlive the last channel.
  lingerMs: 60_000,
  resubscribeMs: 1_000,
  publicationCheckMs: 2_000,
  reconnectMs: 250,
};

/** The settings of a server: its addresses and secrets, and whatever differs from the defaults. */
export function readSettings(config) {
  const { settings = {}, ...given } = config;
  return { ...DEFAULTS, ...given, ...settings };
}
