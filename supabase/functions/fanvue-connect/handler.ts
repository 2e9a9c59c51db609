// Routes the two addresses of fanvue-connect: `/start` for a script or browser with a user's
// token, `/callback` for a browser that comes back from Fanvue.

import { callback } from "./callback.ts";
import type { Effects } from "./effects.ts";
import { allowStart, start } from "./start.ts";

/** Answers one request. */
export async function handle(
  request: Request,
  effects: Effects,
): Promise<Response> {
  const path = new URL(request.url).pathname.replace(/\/+$/, "");
  const name = path.slice(path.lastIndexOf("/") + 1);
  if (name !== "start" && name !== "callback") {
    return Response.json({ error: "only /start and /callback are here" }, {
      status: 404,
    });
  }
  if (name === "start" && request.method === "OPTIONS") return allowStart();
  if (request.method !== "GET") {
    return Response.json({ error: "method not allowed" }, {
      status: 405,
      headers: { allow: "GET" },
    });
  }
  return name === "start"
    ? await start(request, effects)
    : await callback(request, effects);
}
