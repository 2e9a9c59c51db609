// Knows the browser that came back from Fanvue again, by a cookie that only it was given: whoever has
// the address of the confirmation alone confirms nothing. One cookie per connection, so that several
// windows do not disturb each other.

const LIFETIME_SECONDS = 600;
const SECRET = /^[A-Za-z0-9_-]{43}$/;

/** Returns the header that gives the secret of one connection to this browser. */
export function giveCookie(
  address: string,
  nonceHash: string,
  secret: string,
): string {
  return cookie(address, nonceHash, secret, LIFETIME_SECONDS);
}

/** Returns the header that takes it back. */
export function dropCookie(address: string, nonceHash: string): string {
  return cookie(address, nonceHash, "", 0);
}

/** Returns the secret that this browser was given for a connection; null where it is another one. */
export function cookieOf(
  request: Request,
  address: string,
  nonceHash: string,
): string | null {
  const wanted = `${nameOf(address, nonceHash)}=`;
  const found = (request.headers.get("cookie") ?? "").split(";")
    .map((part) => part.trim()).find((part) => part.startsWith(wanted));
  const secret = found?.slice(wanted.length) ?? "";
  return SECRET.test(secret) ? secret : null;
}

function cookie(
  address: string,
  nonceHash: string,
  value: string,
  seconds: number,
): string {
  // The dashboard is another site, and its form leads here: that takes SameSite=None. Without https,
  // which only a stack on one's own machine does, both are one site.
  const reach = isSecure(address) ? "Secure; SameSite=None" : "SameSite=Lax";
  return `${
    nameOf(address, nonceHash)
  }=${value}; Path=/; Max-Age=${seconds}; HttpOnly; ${reach}`;
}

function nameOf(address: string, nonceHash: string): string {
  const prefix = isSecure(address) ? "__Host-" : "";
  return `${prefix}fanvue-connect-${nonceHash.slice(0, 16)}`;
}

function isSecure(address: string): boolean {
  return address.startsWith("https://");
}
