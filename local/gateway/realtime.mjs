// The way through to the Realtime server: HTTP requests and WebSockets, byte for byte. Says 503 while
// that server is away; clients then try again by themselves.

import { request } from "node:http";
import { connect } from "node:net";

import { sendJson } from "./web.mjs";

const HOST = "127.0.0.1";
const AWAY = { error: "Realtime is not running; see `python -m local status`" };

/** Hands an HTTP request over and its answer back. */
export function forward(incoming, outgoing, port) {
  const { method, url, headers } = incoming;
  // A connection kept for later would be a broken one after a restart of that server.
  const options = { host: HOST, port, method, path: url, headers, agent: false };
  const onward = request(options, (answer) => {
    const { connection: _hop, ...kept } = answer.headers;
    outgoing.writeHead(answer.statusCode, kept);
    answer.pipe(outgoing);
  });
  outgoing.on("close", () => onward.destroy());
  onward.on("error", () => {
    if (outgoing.headersSent) outgoing.destroy();
    else sendJson(incoming, outgoing, 503, AWAY);
  });
  incoming.pipe(onward);
}

/** Hands a connection over that asks to become a WebSocket. */
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
    else refuseUpgrade(socket, 503, "Service Unavailable", AWAY);
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
