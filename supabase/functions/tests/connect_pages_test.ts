import {
  escapeHtml,
  type PageName,
  showPage,
} from "../fanvue-connect/pages.ts";
import { returnUrl, safePath } from "../fanvue-connect/return_path.ts";
import { assert, assertEquals, assertMatch } from "./assertions.ts";

const STATUSES: Record<PageName, number> = {
  connected: 200,
  declined: 200,
  linkOver: 404,
  tooMany: 429,
  signedOut: 401,
  notAllowed: 403,
  otherBrowser: 403,
  incomplete: 400,
  used: 400,
  refused: 400,
  denied: 403,
  missingScope: 403,
  scopeNotTicked: 403,
  managerAccount: 409,
  creatorAccount: 409,
  wrongAccount: 409,
  elsewhere: 409,
  changed: 409,
  expired: 410,
  fanvueAway: 502,
  fanvueBusy: 503,
  misconfigured: 503,
  databaseAway: 503,
};
for (const [name, status] of Object.entries(STATUSES)) {
  Deno.test(`the page «${name}» is plain, private and says what to do`, async () => {
    const response = showPage(name as PageName, "https://d.example.test/?a&b");

    const html = await response.text();
    assertEquals(response.status, status);
    assertEquals(
      response.headers.get("content-type"),
      "text/html; charset=utf-8",
    );
    assertMatch(
      response.headers.get("content-security-policy"),
      /^default-src 'none'/,
    );
    assertEquals(response.headers.get("referrer-policy"), "no-referrer");
    assertEquals(
      response.headers.get("strict-transport-security"),
      "max-age=31536000",
    );
    assertEquals(response.headers.get("cache-control"), "no-store");
    assertMatch(html, /^<!DOCTYPE html>\n<html lang="en">/);
    assertMatch(
      html,
      /<main>\n<h1>[^<]+<\/h1>\n<p>[^<]+<\/p>\n<p>[^<]+<\/p>/,
    );
    assertMatch(html, /<title>[^<]+<\/title>/);
    assert(html.includes('href="https://d.example.test/?a&amp;b"'));
    assert(!/<(script|style|img|form|iframe)/.test(html));
  });
}

Deno.test("without a dashboard a page links nowhere", async () => {
  assert(!(await showPage("denied", null).text()).includes("<a "));
});

Deno.test("HTML is escaped", () => {
  assertEquals(
    escapeHtml(`<a href="x" id='y'>&</a>`),
    "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;&lt;/a&gt;",
  );
});

const INSIDE = [
  "/",
  "/models",
  "/models/7?tab=new#list",
  "/a//b",
  "/@x",
  "/%2f",
];
for (const path of INSIDE) {
  Deno.test(`the dashboard's own path is kept: ${path}`, () => {
    assertEquals(safePath(path), path);
  });
}

const OUTSIDE: (string | null)[] = [
  null,
  "",
  "models",
  "//evil.example",
  "///evil.example",
  "/\\evil.example",
  "\\\\evil.example",
  "/\t/evil.example",
  "/\n/evil.example",
  "\t//evil.example",
  " /models",
  "/models\\..\\x",
  "/\u2028/evil",
  "https://evil.example/",
  "https:evil.example",
  "javascript:alert(1)",
  "@evil.example",
  ".evil.example",
  "/..//evil.example",
  "/./%2e%2e//evil.example",
  `/${"x".repeat(500)}`,
];
for (const path of OUTSIDE) {
  Deno.test(`the browser is not led away by ${JSON.stringify(path)?.slice(0, 40)}`, () => {
    assertEquals(safePath(path), "/");
    assertEquals(
      returnUrl("https://d.example.test", path, "connected", "m1"),
      "https://d.example.test/?connected=m1",
    );
  });
}

Deno.test("whatever is asked for, the browser stays with the dashboard", () => {
  for (
    const path of [...INSIDE, ...OUTSIDE, "/../../x", "/.//evil", "/;@e:1"]
  ) {
    const url = new URL(
      returnUrl("https://d.example.test/app", path, "connected", "m1"),
    );
    assertEquals(url.origin, "https://d.example.test");
    assertEquals(url.searchParams.get("connected"), "m1");
  }
});
