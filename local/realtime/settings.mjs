// What the Realtime server is told, over what it assumes: the limits and delays of a hosted project,
// as far as they can hurt. Tests that need speed make them smaller.

export const DEFAULTS = {
  maxChannels: 100,
  eventsPerSecond: 100,
  // A client that says nothing for this long is dropped.
  idleMs: 60_000,
  tokenCheckMs: 300_000,
  // How long a refusal of a join takes, in which the whole socket waits.
  refuseJoinMs: 5_000,
  // How long those who wait for a stream to flow do.
  streamPatienceMs: 60_000,
  // How long the streams outlive the last channel.
  lingerMs: 60_000,
  resubscribeMs: 1_000,
  publicationCheckMs: 60_000,
  // The first wait after a stream was lost; each one is twice as long, up to five minutes.
  reconnectMs: 5_000,
};

/** The settings of a server: its addresses and secrets, and whatever differs from the defaults. */
export function readSettings(config) {
  const { settings = {}, ...given } = config;
  return { ...DEFAULTS, ...given, ...settings };
}
