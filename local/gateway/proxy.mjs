// The way through to the servers behind the gateway: HTTP requests and WebSockets, byte for byte.

import { request } from "node:http";
import { connect } from "node:net";

import { sendJson } from "./web.mjs";

const HOST = "127.0.0.1";
const REALTIME_AWAY = { error: "Realtime is not running; see `python -m local status`" };

/**
 * Hands an HTTP request over and its answer back. `target` is what differs from the request that
 * came (port, path, headers) and how to connect; `fail` is told when no answer came.
 */
export function forward(incoming, outgoing, target, fail) {
  const { method, url, headers } = incoming;
  let hasCallerLeft = false;
  const onward = request({ host: HOST, method, path: url, headers, ...target }, (answer) => {
    const { connection: _hop, ...kept } = answer.headers;
    outgoing.writeHead(answer.statusCode, kept);
    answer.pipe(outgoing);
    answer.on("error", () => outgoing.destroy());
  });
  onward.on("timeout", () => onward.destroy(new Error("no answer in time")));
  onward.on("error", (error) => {
    if (hasCallerLeft) return;
    if (outgoing.headersSent) outgoing.destroy();
    fail(error);
  });
  outgoing.on("close", () => {
    hasCallerLeft = !outgoing.writableFinished;
    onward.destroy();
  });
  incoming.pipe(onward);
}

/** Hands a connection over that asks to become a WebSocket; 503 while nobody is there. */
export function forwardUpgrade(incoming, socket, head, port) {
  const onward = connect(port, HOST);
  let isConnected = false;
  onward.once("connect", () => {
    isConnected = true;
    const lines = [`${incoming.method} ${incoming.url} HTTP/1.1`];
    for (let i = 0; i < incoming.rawHeaders.length; i += 2) {
      lines.push(`${incoming.rawHeaders[i]}: ${incoming.rawHeaders[i + 1]}`);
    }
    onward.write(`${lines.join("\r\n")}\r\n\r\n`);
    onward.write(head);
    onward.pipe(socket).pipe(onward);
  });
  onward.setNoDelay(true);
  socket.setNoDelay(true);
  onward.on("error", () => {
    if (isConnected) socket.destroy();
    else refuseUpgrade(socket, 503, "Service Unavailable", REALTIME_AWAY);
  });
  onward.on("close", () => isConnected && socket.destroySoon());
  socket.on("error", () => onward.destroy());
  socket.on("close", () => onward.destroy());
}

/** Answers an upgrade that leads nowhere. */
export function refuseUpgrade(socket, status, reason, answer) {
  const body = JSON.stringify(answer);
  socket.on("error", () => {});
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\ncontent-type: application/json\r\ncontent-length: ${
      Buffer.byteLength(body)
    }\r\nconnection: close\r\n\r\n${body}`,
  );
}

/** Answers that the server behind is away, unless an answer is under way already. */
export function sendAway(incoming, outgoing, body) {
  if (!outgoing.headersSent) sendJson(incoming, outgoing, 503, body, { "retry-after": "1" });
}
