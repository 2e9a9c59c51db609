// Who a client is: keys and JWTs, with the words Realtime uses to refuse them. Signs nothing.

import { createHmac, createPublicKey, timingSafeEqual, verify } from "node:crypto";

// Hosted Supabase turns a new-style key into a JWT that lasts; ours lasts as long as the socket.
const FAR = 2 ** 33;

export class TokenError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

export class Tokens {
  #secret;
  #public;
  #keys;

  constructor({ jwtSecret, publishedKey, publishableKey, secretKey }) {
    this.#secret = jwtSecret;
    this.#public = createPublicKey({ key: publishedKey, format: "jwk" });
    this.#keys = new Map([
      [publishableKey, { role: "anon", exp: FAR }],
      [secretKey, { role: "service_role", exp: FAR }],
    ]);
  }

  /** The claims behind the key or the JWT that a connection is opened with. */
  readKey(key) {
    return this.#keys.get(key) ?? this.read(key);
  }

  /** The claims of a JWT; throws a TokenError. */
  read(token) {
    const parts = typeof token === "string" ? token.split(".") : [];
    const header = parts.length === 3 ? parse(parts[0]) : null;
    const claims = header ? parse(parts[1]) : null;
    if (!claims) throw new TokenError("MalformedJWT", "The token provided is not a valid JWT");
    const signature = Buffer.from(parts[2], "base64url");
    if (!this.#isSigned(header.alg, Buffer.from(`${parts[0]}.${parts[1]}`), signature)) {
      throw new TokenError("JwtSignatureError", "Failed to validate JWT signature");
    }
    if (typeof claims.role !== "string" || typeof claims.exp !== "number") {
      const text = "Fields `role` and `exp` are required in JWT";
      throw new TokenError("InvalidJWTToken", text);
    }
    checkLifetime(claims);
    return claims;
  }

  #isSigned(algorithm, signed, signature) {
    if (algorithm === "ES256") {
      return verify("sha256", signed, { key: this.#public, dsaEncoding: "ieee-p1363" }, signature);
    }
    if (algorithm === "HS256") {
      const expected = createHmac("sha256", this.#secret).update(signed).digest();
      return signature.length === expected.length && timingSafeEqual(signature, expected);
    }
    const text = "Failed to generate JWT signer, check your JWT secret or JWKS";
    throw new TokenError("JwtSignerError", text);
  }
}

/** Throws a TokenError once the claims have expired. */
export function checkLifetime(claims) {
  const late = Math.floor(Date.now() / 1000) - claims.exp;
  if (late >= 0) {
    throw new TokenError("InvalidJWTToken", `Token has expired ${Math.floor(late)} seconds ago`);
  }
}

export function isNewKey(token) {
  return typeof token === "string" && token.startsWith("sb_");
}

function parse(part) {
  try {
    const value = JSON.parse(Buffer.from(part, "base64url"));
    return value !== null && typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}
