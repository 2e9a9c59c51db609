// Fanvue's signature: `t=<unix seconds>,v0=<hex of HMAC-SHA256 over t + "." + raw body>`. While a
// secret is rotated v0 has two digests, the old one first: `v0=<hex>,<hex>`; several v0 are read
// alike. Order, spaces and the case of hex do not matter, nor that the whole header came twice.

import { type Bytes, encodeUtf8, isEqual } from "../_shared/bytes.ts";

export const TOLERANCE_SECONDS = 300;

const TIMESTAMP = /^\d{1,12}$/;
const DIGEST = /^[0-9a-f]{64}$/;
// Every signature costs a comparison with every secret; more than a rotation needs is an attack.
const MOST_SIGNATURES = 8;

interface Signature {
  readonly timestamp: string;
  readonly digests: readonly Bytes[];
}

export type Verdict = "fits" | "too old" | "does not fit";

/** Judges a signature: whether one of the secrets signed this body, and at a time close to now. */
export async function judge(
  header: string,
  body: Bytes,
  secrets: readonly string[],
  nowSeconds: number,
): Promise<Verdict> {
  const signature = parse(header);
  if (signature === null) return "does not fit";
  const prefix = encodeUtf8(`${signature.timestamp}.`);
  const signed = new Uint8Array(prefix.length + body.length);
  signed.set(prefix);
  signed.set(body, prefix.length);
  let found = false;
  for (const secret of secrets) {
    const expected = await sign(secret, signed);
    // No early end: the time taken tells nothing about which secret or signature fits.
    for (const digest of signature.digests) {
      found = isEqual(expected, digest) || found;
    }
  }
  if (!found) return "does not fit";
  const age = nowSeconds - Number(signature.timestamp);
  return Math.abs(age) > TOLERANCE_SECONDS ? "too old" : "fits";
}

function parse(header: string): Signature | null {
  const timestamps = new Set<string>();
  const digests: Bytes[] = [];
  let name = "";
  for (const part of header.split(",")) {
    const equals = part.indexOf("=");
    // A value without a name of its own is one more of the last name.
    if (equals >= 0) name = part.slice(0, equals).trim();
    const value = part.slice(equals + 1).trim().toLowerCase();
    if (name === "t") timestamps.add(value);
    // Other versions of the scheme may stand beside v0; a v0 that is none makes the whole doubtful.
    if (name !== "v0") continue;
    if (!DIGEST.test(value)) return null;
    digests.push(fromHex(value));
  }
  const [timestamp] = timestamps;
  if (timestamp === undefined || timestamps.size > 1) return null;
  if (!TIMESTAMP.test(timestamp)) return null;
  if (digests.length === 0 || digests.length > MOST_SIGNATURES) return null;
  return { timestamp, digests };
}

async function sign(secret: string, message: Bytes): Promise<Bytes> {
  const key = await crypto.subtle.importKey(
    "raw",
    encodeUtf8(secret),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, message));
}

function fromHex(text: string): Bytes {
  return Uint8Array.from(
    { length: text.length / 2 },
    (_, index) => Number.parseInt(text.slice(2 * index, 2 * index + 2), 16),
  );
}
