// Seals secrets before they are stored, and opens them. Byte for byte the format of the worker:
// `fse1.<key id>.<base64url without padding of nonce, ciphertext and tag>`, AES-256-GCM, bound to
// one place by its additional data. No error here contains a secret or a key.

import {
  type Bytes,
  decodeUtf8,
  encodeUtf8,
  fromBase64,
  fromBase64Url,
  toBase64Url,
} from "./bytes.ts";
import { Misconfigured, SealBroken } from "./errors.ts";

const PREFIX = "fse1.";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;
const KEY_ID = /^[A-Za-z0-9_-]{1,32}$/;

export type RandomBytes = (count: number) => Bytes;

/** Returns bytes that nobody can guess. */
export function randomBytes(count: number): Bytes {
  return crypto.getRandomValues(new Uint8Array(count));
}

/** The place of a token: one column of one model's row. */
export function modelColumn(modelId: string, column: string): string {
  return `models:${modelId.toLowerCase()}:${column}`;
}

/** The place of the signing secret of one registered webhook. */
export function webhookSecret(subscriptionId: string): string {
  return `webhook_subscriptions:${subscriptionId.toLowerCase()}:secret`;
}

/** The place of the PKCE verifier of one connection under way. */
export function connectionVerifier(stateHash: string): string {
  return `connections:${stateHash}:verifier`;
}

/** The place of a token that is held back until its owner confirms for whom it is. */
export function heldToken(nonceHash: string, column: string): string {
  return `connections:${nonceHash}:${column}`;
}

/** All keys of this installation: the first seals, every one opens. */
export class Keyring {
  readonly #keys: ReadonlyMap<string, Bytes>;
  readonly #sealingId: string;
  readonly #randomBytes: RandomBytes;

  constructor(keys: ReadonlyMap<string, Bytes>, random: RandomBytes) {
    const [first] = keys.keys();
    if (first === undefined) {
      throw new Misconfigured("TOKEN_ENCRYPTION_KEYS is not set");
    }
    this.#keys = keys;
    this.#sealingId = first;
    this.#randomBytes = random;
  }

  /** Reads keys written `id:base64`; either base64 alphabet, padded or not. */
  static parse(
    entries: readonly string[],
    random: RandomBytes = randomBytes,
  ): Keyring {
    const keys = new Map<string, Bytes>();
    for (const [index, entry] of entries.entries()) {
      const colon = entry.indexOf(":");
      const id = entry.slice(0, Math.max(colon, 0)).trim();
      const encoded = entry.slice(colon + 1).trim().replaceAll("-", "+")
        .replaceAll("_", "/");
      const key = fromBase64(encoded);
      if (!KEY_ID.test(id) || key?.length !== KEY_BYTES || keys.has(id)) {
        throw new Misconfigured(
          `key ${
            index + 1
          } of TOKEN_ENCRYPTION_KEYS is not id:base64 of ${KEY_BYTES} bytes under an id of its own`,
        );
      }
      keys.set(id, key);
    }
    return new Keyring(keys, random);
  }

  /** Seals a text for one place. */
  async seal(plaintext: string, place: string): Promise<string> {
    const nonce = this.#randomBytes(NONCE_BYTES);
    const key = await this.#importKey(this.#sealingId, "encrypt");
    const sealed = await crypto.subtle.encrypt(
      cipher(nonce, place),
      key,
      encodeUtf8(plaintext),
    );
    const body = new Uint8Array([...nonce, ...new Uint8Array(sealed)]);
    return `${PREFIX}${this.#sealingId}.${toBase64Url(body)}`;
  }

  /** Opens a sealed text; refuses one that was changed or moved from another place. */
  async open(stored: string, place: string): Promise<string> {
    const [id, body] = unpack(stored);
    const key = await this.#importKey(id, "decrypt");
    const opened = await crypto.subtle.decrypt(
      cipher(body.slice(0, NONCE_BYTES), place),
      key,
      body.slice(NONCE_BYTES),
    ).catch(() => null);
    const text = opened && decodeUtf8(new Uint8Array(opened));
    if (text === null) {
      throw new SealBroken(
        `a value does not open with key '${id}': the key bytes differ, or it was changed or moved`,
      );
    }
    return text;
  }

  async #importKey(id: string, use: "encrypt" | "decrypt"): Promise<CryptoKey> {
    const bytes = this.#keys.get(id);
    if (bytes === undefined) {
      throw new Misconfigured(
        `a value was sealed with key '${id}': add it to TOKEN_ENCRYPTION_KEYS, after the first one`,
      );
    }
    return await crypto.subtle.importKey("raw", bytes, "AES-GCM", false, [use]);
  }
}

/** Tells a sealed value from the plain text of an older application. */
export function isSealed(stored: string): boolean {
  return stored.startsWith(PREFIX);
}

function cipher(nonce: Bytes, place: string): AesGcmParams {
  return {
    name: "AES-GCM",
    iv: nonce,
    additionalData: encodeUtf8(place),
    tagLength: TAG_BYTES * 8,
  };
}

function unpack(stored: string): [id: string, body: Bytes] {
  const rest = isSealed(stored) ? stored.slice(PREFIX.length) : "";
  const dot = rest.indexOf(".");
  const id = rest.slice(0, Math.max(dot, 0));
  const body = fromBase64Url(rest.slice(dot + 1));
  if (
    !KEY_ID.test(id) || body === null || body.length < NONCE_BYTES + TAG_BYTES
  ) {
    throw new SealBroken("a sealed value is not well formed");
  }
  return [id, body];
}
