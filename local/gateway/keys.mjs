// Keys and tokens at the door: which role an API key stands for, and the two ways a user's token is
// signed, ES256 as new hosted projects do and HS256 with the shared secret as older ones do.

import { createPrivateKey, createPublicKey } from "node:crypto";

import { decodeProtectedHeader, jwtVerify, SignJWT } from "jose";

const ISSUER = "supabase";
// What an API key becomes inside lasts as long as anybody's stack.
const LONG = "10y";
const BROWSER = /^Mozilla\/5\.0/;

export class Keys {
  #shared;
  #private;
  #public;
  #keyId;
  #roles;

  constructor({ jwtSecret, signingKey, signingKeyId, publishableKey, secretKey }) {
    this.#shared = new TextEncoder().encode(jwtSecret);
    const der = Buffer.from(signingKey, "base64");
    this.#private = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
    this.#public = createPublicKey(this.#private);
    this.#keyId = signingKeyId;
    this.#roles = new Map([[publishableKey, "anon"], [secretKey, "service_role"]]);
    this.keyOfRole = { anon: publishableKey, service_role: secretKey };
  }

  /** The claims of a valid token, or null. */
  async claims(token) {
    try {
      const { alg } = decodeProtectedHeader(token);
      const key = alg === "ES256" ? this.#public : this.#shared;
      return (await jwtVerify(token, key, { algorithms: ["ES256", "HS256"] })).payload;
    } catch {
      return null;
    }
  }

  /** The same claims, signed as users get to see them. */
  signForUsers(claims) {
    const header = { alg: "ES256", typ: "JWT", kid: this.#keyId };
    return new SignJWT(claims).setProtectedHeader(header).sign(this.#private);
  }

  /** The same claims, signed with the shared secret. */
  signShared(claims) {
    return new SignJWT(claims).setProtectedHeader({ alg: "HS256", typ: "JWT" }).sign(this.#shared);
  }

  /**
   * The token PostgREST is asked with: the caller's own, else the one the API key stands for.
   * Null without a key of this instance, and for the secret key in a browser, as on hosted projects.
   */
  async tokenFor({ apikey, authorization, "user-agent": agent }) {
    const role = await this.roleOf(apikey);
    if (!role || (apikey.startsWith("sb_secret_") && BROWSER.test(agent))) return null;
    const own = bearerToken(authorization);
    if (own && own !== apikey && !own.startsWith("sb_")) return own;
    const claims = new SignJWT({ role }).setIssuer(ISSUER).setIssuedAt().setExpirationTime(LONG);
    return await claims.setProtectedHeader({ alg: "HS256", typ: "JWT" }).sign(this.#shared);
  }

  /** The role of a key, old-style ones (a JWT that names it) included, or undefined. */
  async roleOf(apikey) {
    if (!apikey) return undefined;
    const role = this.#roles.get(apikey) ?? (await this.claims(apikey))?.role;
    return Object.hasOwn(this.keyOfRole, role) ? role : undefined;
  }
}

/** The token of an `Authorization: Bearer …` header, or null. */
export function bearerToken(header) {
  const match = /^Bearer\s+(\S+)$/i.exec(header ?? "");
  return match ? match[1] : null;
}
