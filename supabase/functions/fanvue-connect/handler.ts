// Routes the addresses of fanvue-connect: `/start` for a script or browser with a user's token or a
// link, `/callback` for a browser that comes back from Fanvue, `/confirm` for the dashboard's page.

import { allowScripts } from "./script_answers.ts";
import { callback } from "./callback.ts";
import { confirm } from "./confirm.ts";
import type { Effects } from "./effects.ts";
import { start } from "./start.ts";

const METHODS: Readonly<Record<string, string>> = {
  start: "GET",
  confirm: "GET, POST",
  callback: "GET",
};

/** Answers one request. */
export async function handle(
  request: Request,
  effects: Effects,
): Promise<Response> {
  const path = new URL(request.url).pathname.replace(/\/+$/, "");
  const name = path.slice(path.lastIndexOf("/") + 1);
  const allow = METHODS[name];
  if (allow === undefined) {
    const error = "only /start, /confirm and /callback are here";
    return Response.json({ error }, { status: 404 });
  }
  if (name !== "callback" && request.method === "OPTIONS") {
    return allowScripts();
  }
  if (!allow.split(", ").includes(request.method)) {
    return Response.json({ error: "method not allowed" }, {
      status: 405,
      headers: { allow },
    });
  }
  switch (name) {
    case "start":
      return await start(request, effects);
    case "confirm":
      return await confirm(request, effects);
    default:
      return await callback(request, effects);
  }
}
