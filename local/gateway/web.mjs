// Between Node's HTTP server and the fetch API: bodies, headers, CORS, JSON answers.

const CORS_HEADERS = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT",
  "access-control-expose-headers": "Content-Range, Content-Location, Link, X-Cache, X-Total-Count",
  "access-control-max-age": "3600",
};
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "transfer-encoding",
  "upgrade",
  "content-encoding",
]);

export async function readBody(incoming) {
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** A fetch Request with the same method and headers, and the body that was read. */
export function toRequest(incoming, url, body) {
  const headers = new Headers();
  for (let i = 0; i < incoming.rawHeaders.length; i += 2) {
    const name = incoming.rawHeaders[i].toLowerCase();
    if (!HOP_BY_HOP.has(name) && name !== "host") headers.append(name, incoming.rawHeaders[i + 1]);
  }
  const bodyless = incoming.method === "GET" || incoming.method === "HEAD";
  return new Request(url, {
    method: incoming.method,
    headers,
    body: bodyless || !body.length ? undefined : body,
  });
}

/** Sends a fetch Response; its own CORS headers win over ours. */
export async function sendResponse(incoming, outgoing, response) {
  const headers = { ...corsHeaders(incoming) };
  for (const [name, value] of response.headers) {
    if (!HOP_BY_HOP.has(name) && name !== "set-cookie") headers[name] = value;
  }
  const cookies = response.headers.getSetCookie();
  if (cookies.length) headers["set-cookie"] = cookies;
  const body = response.body ? Buffer.from(await response.arrayBuffer()) : Buffer.alloc(0);
  if (incoming.method !== "HEAD" && response.status !== 204 && response.status !== 304) {
    headers["content-length"] = String(body.length);
  }
  outgoing.writeHead(response.status, headers);
  outgoing.end(incoming.method === "HEAD" ? undefined : body);
}

export function sendJson(incoming, outgoing, status, value, extra = {}) {
  const body = Buffer.from(JSON.stringify(value));
  outgoing.writeHead(status, {
    ...corsHeaders(incoming),
    "content-type": "application/json; charset=utf-8",
    "content-length": String(body.length),
    ...extra,
  });
  outgoing.end(incoming.method === "HEAD" ? undefined : body);
}

/** Answers a CORS preflight the way the hosted gateway does. */
export function sendPreflight(incoming, outgoing) {
  outgoing.writeHead(200, { ...corsHeaders(incoming), "content-length": "0" });
  outgoing.end();
}

function corsHeaders(incoming) {
  const wanted = incoming.headers["access-control-request-headers"];
  return {
    ...CORS_HEADERS,
    "access-control-allow-headers": wanted ?? "authorization, apikey, content-type, x-client-info",
  };
}
