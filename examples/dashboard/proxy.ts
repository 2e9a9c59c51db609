/**
 * Gives every page a Content-Security-Policy: scripts by a fresh nonce only, connections to this
 * server and the one Supabase project only.
 */

import { type NextRequest, NextResponse } from "next/server";
import { connectSources, readSettings } from "./lib/settings";

export function proxy(request: NextRequest): NextResponse {
  const nonce = btoa(crypto.randomUUID());
  const policy = contentPolicy(nonce);
  const headers = new Headers(request.headers);
  headers.set("x-nonce", nonce);
  // Where the framework looks for the nonce of its own scripts.
  headers.set("content-security-policy", policy);
  const response = NextResponse.next({ request: { headers } });
  response.headers.set("content-security-policy", policy);
  response.headers.set("x-content-type-options", "nosniff");
  response.headers.set("referrer-policy", "no-referrer");
  // Browsers heed it over HTTPS alone, so a local server stays as it is.
  response.headers.set("strict-transport-security", "max-age=31536000");
  response.headers.set("cross-origin-opener-policy", "same-origin");
  response.headers.set("permissions-policy", "camera=(), geolocation=(), microphone=()");
  return response;
}

export const config = { matcher: ["/((?!_next/static|icon.svg).*)"] };

function contentPolicy(nonce: string): string {
  const isDevelopment = process.env.NODE_ENV === "development";
  const settings = readSettings(process.env);
  const sources = connectSources(settings);
  return [
    "default-src 'self'",
    `script-src 'self' 'nonce-${nonce}' 'strict-dynamic'${isDevelopment ? " 'unsafe-eval'" : ""}`,
    // Charts place their parts by style attributes; style sheets come from here alone.
    `style-src 'self'${isDevelopment ? " 'unsafe-inline'" : ""}`,
    "style-src-attr 'unsafe-inline'",
    `connect-src ${sources.join(" ")}`,
    "img-src 'self' data:",
    "font-src 'self'",
    "object-src 'none'",
    "base-uri 'none'",
    // The form that confirms a connection leads to the project and back here.
    `form-action ${sources.filter((source) => !source.startsWith("ws")).join(" ")}`,
    "frame-ancestors 'none'",
  ].join("; ");
}
