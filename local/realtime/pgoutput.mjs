// Reads the messages of PostgreSQL's pgoutput plugin (protocol version 1). Values stay the text that
// the database prints; the meaning of a change is somebody else's.

const UNIX_EPOCH_OFFSET_US = 946_684_800_000_000n;
const KEY_ONLY = 0x4b;
const OLD_ROW = 0x4f;

/** A column that was not sent because it did not change. */
export const UNCHANGED = Symbol("unchanged");

export class Decoder {
  #relations = new Map();

  /** One message: begin, commit, a change, or null for what needs no answer. */
  decode(bytes) {
    const reader = new Reader(bytes);
    switch (String.fromCharCode(reader.byte())) {
      case "B":
        return readBegin(reader);
      case "C":
        return { kind: "commit" };
      case "R":
        this.#readRelation(reader);
        return null;
      case "I":
        return this.#readChange(reader, "I");
      case "U":
        return this.#readChange(reader, "U");
      case "D":
        return this.#readChange(reader, "D");
      default:
        return null;
    }
  }

  #readRelation(reader) {
    const id = reader.uint32();
    const relation = { id, schema: reader.string() || "pg_catalog", table: reader.string() };
    reader.byte();
    relation.columns = Array.from({ length: reader.uint16() }, () => {
      const isKey = (reader.byte() & 1) === 1;
      const column = { isKey, name: reader.string(), type: reader.uint32() };
      reader.uint32();
      return column;
    });
    this.#relations.set(id, relation);
  }

  #readChange(reader, action) {
    const relation = this.#relations.get(reader.uint32());
    let mark = reader.byte();
    let old = null;
    if (mark === KEY_ONLY || mark === OLD_ROW) {
      old = readTuple(reader);
      mark = action === "D" ? null : reader.byte();
    }
    const row = action === "D" ? null : readTuple(reader);
    return { kind: "change", action, relation, row, old };
  }
}

function readBegin(reader) {
  reader.advance(8);
  const microseconds = reader.int64() + UNIX_EPOCH_OFFSET_US;
  return {
    kind: "begin",
    committedAt: new Date(Number(microseconds / 1000n)),
    xid: reader.uint32(),
  };
}

function readTuple(reader) {
  return Array.from({ length: reader.uint16() }, () => {
    switch (String.fromCharCode(reader.byte())) {
      case "n":
        return null;
      case "u":
        return UNCHANGED;
      default:
        return reader.text(reader.uint32());
    }
  });
}

class Reader {
  #bytes;
  #at = 0;

  constructor(bytes) {
    this.#bytes = bytes;
  }

  byte() {
    return this.#bytes[this.#at++];
  }

  uint16() {
    return this.#bytes.readUInt16BE(this.advance(2));
  }

  uint32() {
    return this.#bytes.readUInt32BE(this.advance(4));
  }

  int64() {
    return this.#bytes.readBigInt64BE(this.advance(8));
  }

  string() {
    const end = this.#bytes.indexOf(0, this.#at);
    const text = this.#bytes.toString("utf8", this.#at, end);
    this.#at = end + 1;
    return text;
  }

  text(length) {
    const start = this.advance(length);
    return this.#bytes.toString("utf8", start, start + length);
  }

  /** Moves on and returns where it was. */
  advance(count) {
    const start = this.#at;
    this.#at += count;
    return start;
  }
}
