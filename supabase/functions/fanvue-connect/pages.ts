// The pages people see at the end of a connection: what happened, and what to do next. They hold
// no script, no style, no secret and nothing taken from the request: of scopes only those that this
// service asks for. docs/fanvue-app.md says what each page means to whoever runs it. Little markup on purpose:
// hosted projects without a domain of their own serve HTML as plain text.

const CONTENT_SECURITY = [
  "default-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** Headers of every answer to a browser: an address with a code in it stays in nobody's memory. */
export const PRIVATE_HEADERS: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "referrer-policy": "no-referrer",
  "strict-transport-security": "max-age=31536000",
  "x-content-type-options": "nosniff",
};

interface Page {
  readonly status: number;
  readonly title: string;
  readonly what: string;
  readonly next: string;
}

const PAGES = {
  connected: {
    status: 200,
    title: "Connected",
    what: "The Fanvue account is connected and its first sync has begun.",
    next: "You can close this page.",
  },
  declined: {
    status: 200,
    title: "Not connected",
    what:
      "You declined, so nothing was connected, and what Fanvue granted was thrown away.",
    next:
      "You can close this page. If you change your mind, open the link again.",
  },
  linkOver: {
    status: 404,
    title: "This link works no more",
    what:
      "A link connects one account, once and for some days. This one was used, has ended or was taken back.",
    next: "Ask whoever sent it for a new one.",
  },
  tooMany: {
    status: 429,
    title: "Too many attempts",
    what: "Too many connections were begun within the last hour.",
    next: "Try again in an hour.",
  },
  signedOut: {
    status: 401,
    title: "Who began confirms",
    what:
      "Somebody who is signed in to the dashboard began to connect this account, and only they confirm it. Nothing was connected.",
    next:
      "Sign in to the dashboard and start again there. If somebody sent you the address, ask them for a link instead.",
  },
  notAllowed: {
    status: 403,
    title: "You may not connect accounts",
    what:
      "Only owners and admins of an agency connect accounts, and links only as long as they are open. Nothing was connected.",
    next: "Ask an owner or admin of the agency.",
  },
  otherBrowser: {
    status: 403,
    title: "This is another browser",
    what:
      "An account is confirmed in the browser that came back from Fanvue, and this is another one, or it keeps no cookies. Nothing was connected.",
    next: "Start again, and stay in one browser that accepts cookies.",
  },
  incomplete: {
    status: 400,
    title: "This address is incomplete",
    what:
      "Fanvue did not send everything that is needed, or the address was cut off.",
    next: "Go back to the dashboard and connect the account again.",
  },
  used: {
    status: 400,
    title: "This connection is no longer open",
    what:
      "Each attempt to connect an account works once, and this one was finished already or was never started here.",
    next:
      "Look in the dashboard whether the account is connected. If it is not, connect it again from there.",
  },
  refused: {
    status: 400,
    title: "Fanvue did not accept the confirmation",
    what:
      "The confirmation was too old or had been used. Nothing was connected.",
    next: "Go back to the dashboard and connect the account again.",
  },
  denied: {
    status: 403,
    title: "Access was not granted",
    what:
      "Access to the Fanvue account was declined, so nothing was connected.",
    next:
      "To connect the account after all, start again in the dashboard and allow the access at Fanvue.",
  },
  missingScope: {
    status: 403,
    title: "A permission is missing",
    what:
      "Syncing needs lasting access to the profile and the earnings, and Fanvue did not grant all of it. Nothing was connected.",
    next:
      "Connect the account again from the dashboard and leave every permission ticked. If none was unticked, ask whoever runs this service to enable the permissions of the Fanvue app.",
  },
  scopeNotTicked: {
    status: 403,
    title: "The Fanvue app lacks a permission",
    what:
      "Fanvue did not ask for your consent, because its app for this service may not ask for all that syncing needs. Nothing was connected.",
    next:
      "Ask whoever runs this service to tick what is missing in the Fanvue app, under Authentication, then connect the account again.",
  },
  managerAccount: {
    status: 409,
    title: "This is a manager account, not a creator's",
    what:
      "The account that was signed in at Fanvue manages creators and has no earnings of its own. Nothing was connected.",
    next:
      'To connect a creator, sign in at Fanvue as that creator. To connect everybody whom the account manages, let an owner or admin choose "Connect the agency\'s account" in the dashboard.',
  },
  creatorAccount: {
    status: 409,
    title: "This is a creator's account, not the agency's",
    what:
      "The account that was signed in at Fanvue manages no creators. Nothing was connected.",
    next:
      'Start again in the dashboard and sign in at Fanvue with the agency\'s manager account; or choose "Connect a creator" for this account.',
  },
  wrongAccount: {
    status: 409,
    title: "This is another Fanvue account",
    what:
      "The account that was signed in at Fanvue is not the one that was to be connected. Nothing was changed.",
    next:
      "Start again in the dashboard and sign in at Fanvue with the account that you want to connect.",
  },
  elsewhere: {
    status: 409,
    title: "Connected by another agency",
    what:
      "This Fanvue account is connected by another agency already, and an account belongs to one agency only.",
    next:
      "Ask the owner of the account to have it removed there first, then connect it again from the dashboard.",
  },
  changed: {
    status: 409,
    title: "Connected somewhere else at the same time",
    what:
      "The account was connected from another window while this one was open.",
    next:
      "Look in the dashboard whether the account is active. If it is not, connect it again from there.",
  },
  expired: {
    status: 410,
    title: "This took too long",
    what: "The time to connect the account has passed. Nothing was connected.",
    next:
      "Go back to the dashboard, connect the account again and finish within ten minutes.",
  },
  fanvueAway: {
    status: 502,
    title: "Fanvue could not be reached",
    what: "Fanvue gave no usable answer, so nothing was connected.",
    next: "Wait a minute, then connect the account again from the dashboard.",
  },
  fanvueBusy: {
    status: 503,
    title: "Fanvue asks for a pause",
    what: "Fanvue is asked too much at the moment, so nothing was connected.",
    next: "Wait as long as said here, then connect the account again.",
  },
  misconfigured: {
    status: 503,
    title: "This service is not set up completely",
    what: "Accounts cannot be connected at the moment. Nothing was connected.",
    next:
      "Ask whoever runs this service to look into the log of the function fanvue-connect.",
  },
  databaseAway: {
    status: 503,
    title: "The connection could not be saved",
    what: "The database gave no answer in time.",
    next:
      "Wait a minute and look in the dashboard whether the account is connected. If it is not, connect it again from there.",
  },
} as const satisfies Record<string, Page>;

export type PageName = keyof typeof PAGES;

/** What a page says of this one attempt. */
export interface Detail {
  readonly scopes: readonly string[];
  readonly seconds: number | null;
}

/** Returns a page as an answer; with the dashboard's address it links there. */
export function showPage(
  name: PageName,
  dashboardUrl: string | null,
  { scopes, seconds }: Detail = { scopes: [], seconds: null },
): Response {
  const { status, title, what, next } = PAGES[name];
  const detail = [
    ...(scopes.length > 0 ? [`Missing: ${scopes.join(", ")}`] : []),
    ...(seconds === null ? [] : [`Wait for ${inMinutes(seconds)}.`]),
  ].map((text) => `\n<p>${escapeHtml(text)}</p>`).join("");
  const link = dashboardUrl === null
    ? ""
    : `\n<p><a href="${escapeHtml(dashboardUrl)}">Go to the dashboard</a></p>`;
  const html = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
<p>${escapeHtml(what)}</p>${detail}
<p>${escapeHtml(next)}</p>${link}
</main>
</body>
</html>
`;
  return new Response(html, {
    status,
    headers: {
      ...PRIVATE_HEADERS,
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": CONTENT_SECURITY,
      ...(status === 503 ? { "retry-after": String(seconds ?? 60) } : {}),
    },
  });
}

function inMinutes(seconds: number): string {
  const minutes = Math.ceil(seconds / 60);
  return minutes === 1 ? "a minute" : `${minutes} minutes`;
}

export function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;").replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}
