// HS256 tokens of this instance: checks signature and lifetime. Signs nothing but what a test of
// the gateway itself needs to compare with.

import { createHmac, timingSafeEqual } from "node:crypto";

/** The claims of a valid token, or null. */
export function verifyToken(token, secret, now = Date.now()) {
  const parts = token.split(".");
  if (parts.length !== 3) return null;
  try {
    const header = JSON.parse(Buffer.from(parts[0], "base64url"));
    const claims = JSON.parse(Buffer.from(parts[1], "base64url"));
    if (header.alg !== "HS256") return null;
    const expected = createHmac("sha256", secret).update(`${parts[0]}.${parts[1]}`).digest();
    const given = Buffer.from(parts[2], "base64url");
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null;
    if (typeof claims.exp === "number" && claims.exp * 1000 <= now) return null;
    if (typeof claims.nbf === "number" && claims.nbf * 1000 > now) return null;
    return claims;
  } catch {
    return null;
  }
}

/** The token of an `Authorization: Bearer …` header, or null. */
export function bearerToken(header) {
  const match = /^Bearer\s+(\S+)$/i.exec(header ?? "");
  return match ? match[1] : null;
}
