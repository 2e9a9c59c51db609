// A connection that ends with a page, and which page an error is.

import {
  DatabaseAway,
  DatabaseRefused,
  FanvueAway,
  FanvueBusy,
  FanvueRefused,
} from "../_shared/errors.ts";
import { describe } from "../_shared/logs.ts";
import type { Effects } from "./effects.ts";
import { type PageName, showPage } from "./pages.ts";

/** Ends the connection with a page instead of a stored grant. */
export class Ended extends Error {
  constructor(
    readonly page: PageName,
    readonly scopes: readonly string[] = [],
  ) {
    super(page);
  }
}

/** Shows the page of an error, and logs it without a name or secret. */
export function endWith(error: unknown, effects: Effects): Response {
  const page = pageFor(error);
  const scopes = error instanceof Ended ? error.scopes : [];
  effects.log("connect_ended", {
    page,
    scopes: scopes.join(" "),
    error: error instanceof Ended ? null : describe(error),
  });
  const seconds = error instanceof FanvueBusy ? error.seconds : null;
  return showPage(page, effects.dashboardUrl(), { scopes, seconds });
}

/** Returns the page that a refusal of the database means here, else the error itself. */
export function refusedWith(
  error: unknown,
  pages: Readonly<Record<number, PageName>>,
): unknown {
  const page = error instanceof DatabaseRefused
    ? pages[error.status]
    : undefined;
  return page === undefined ? error : new Ended(page);
}

function pageFor(error: unknown): PageName {
  if (error instanceof Ended) return error.page;
  if (error instanceof FanvueBusy) return "fanvueBusy";
  if (error instanceof FanvueAway) return "fanvueAway";
  if (error instanceof FanvueRefused) {
    return error.word === "invalid_grant" ? "refused" : "misconfigured";
  }
  if (error instanceof DatabaseAway) return "databaseAway";
  // Wrong settings, a key that is gone, a right that is missing: for whoever reads the log.
  return "misconfigured";
}
