// One stream of committed changes: a temporary replication slot, read while somebody needs it. It is
// opened again a while after the database came back; what was committed in between is not in it, and
// nobody is told.

import { randomBytes } from "node:crypto";

import { Decoder } from "./pgoutput.mjs";

const DATA = 0x77;
const KEEPALIVE = 0x6b;
const STATUS = 0x72;
const POSTGRES_EPOCH_MS = Date.UTC(2000, 0, 1);
const SLOWEST_RETRY_MS = 300_000;

export class Stream {
  #database;
  #publication;
  #name;
  #reconnectMs;
  #onTransaction;
  #onReady;
  #connection = null;
  #slot = null;
  #wanted = false;
  #ready = false;
  #failures = 0;
  #timer = null;
  #waiters = new Set();

  /** `onTransaction(changes)` gets each commit in order; `onReady` is called at each opening. */
  constructor({ database, publication, slot, reconnectMs, onTransaction, onReady = () => {} }) {
    this.#database = database;
    this.#name = slot;
    this.#publication = publication;
    this.#reconnectMs = reconnectMs;
    this.#onTransaction = onTransaction;
    this.#onReady = onReady;
  }

  /** The name of the slot in use. */
  get slot() {
    return this.#slot;
  }

  /** Opens it; one that waits before it tries again goes on waiting. */
  start() {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#open();
  }

  async stop() {
    this.#wanted = false;
    this.#pause(null);
    await this.#drop();
  }

  /** True once it runs, false when that takes longer than this. */
  ready(milliseconds) {
    if (this.#ready) return Promise.resolve(true);
    return new Promise((resolve) => {
      const settle = (answer) => {
        clearTimeout(timer);
        this.#waiters.delete(settle);
        resolve(answer);
      };
      const timer = setTimeout(settle, milliseconds, false);
      this.#waiters.add(settle);
    });
  }

  #pause(milliseconds) {
    clearTimeout(this.#timer);
    this.#timer = milliseconds === null ? null : setTimeout(() => this.#open(), milliseconds);
  }

  async #open() {
    this.#pause(null);
    const connection = this.#database.openReplication(() => this.#lost(connection));
    this.#connection = connection;
    this.#slot = `${this.#name}_${randomBytes(8).toString("hex")}`;
    try {
      const [made] = await connection.unsafe(
        `CREATE_REPLICATION_SLOT ${this.#slot} TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT`,
      );
      const socket = await connection.unsafe(
        `START_REPLICATION SLOT ${this.#slot} LOGICAL ${made.consistent_point} (proto_version '1', publication_names '${this.#publication}')`,
      ).writable();
      if (this.#connection !== connection) return;
      const position = { bytes: lsnBytes(made.consistent_point) };
      const read = this.#reader(position, () => socket.write(status(position.bytes)));
      socket.on("error", (error) => this.#lost(connection, error));
      socket.on("close", () => this.#lost(connection));
      socket.on("data", (bytes) => {
        try {
          read(bytes);
        } catch (error) {
          console.error(`${this.#publication}:`, error);
          this.#lost(connection);
        }
      });
    } catch (error) {
      this.#lost(connection, error);
      return;
    }
    this.#failures = 0;
    this.#ready = true;
    for (const settle of [...this.#waiters]) settle(true);
    this.#onReady();
  }

  #reader(position, answer) {
    const decoder = new Decoder();
    let transaction = null;
    let changes = [];
    return (bytes) => {
      if (bytes[0] === KEEPALIVE) {
        position.bytes = Buffer.from(bytes.subarray(1, 9));
        if (bytes[17]) answer();
        return;
      }
      if (bytes[0] !== DATA) return;
      const message = decoder.decode(bytes.subarray(25));
      if (message?.kind === "begin") {
        transaction = message;
        changes = [];
      } else if (message?.kind === "change") {
        changes.push(message);
      } else if (message?.kind === "commit") {
        position.bytes = Buffer.from(bytes.subarray(9, 17));
        if (changes.length) this.#onTransaction({ ...transaction, changes });
      }
    };
  }

  #lost(connection, error = null) {
    if (this.#connection !== connection) return;
    if (error && this.#failures === 0) console.error(`${this.#publication}: ${error.message}`);
    this.#drop();
    if (!this.#wanted) return;
    this.#pause(Math.min(this.#reconnectMs * 2 ** this.#failures++, SLOWEST_RETRY_MS));
  }

  async #drop() {
    const connection = this.#connection;
    this.#connection = null;
    this.#ready = false;
    await connection?.end({ timeout: 0 }).catch(() => {});
  }
}

function lsnBytes(text) {
  const halves = text.split("/").map((half) => half.padStart(8, "0"));
  return Buffer.from(halves.join(""), "hex");
}

/** Tells the server how far we have read, so that it may forget the log before that. */
function status(lsn) {
  const bytes = Buffer.alloc(34);
  bytes[0] = STATUS;
  for (const at of [1, 9, 17]) lsn.copy(bytes, at);
  bytes.writeBigInt64BE(BigInt(Date.now() - POSTGRES_EPOCH_MS) * 1000n, 25);
  return bytes;
}
