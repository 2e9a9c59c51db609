// Where in the dashboard the browser comes back to. Never anywhere else: what looks like another
// place counts as not given.

const LONGEST = 500;
const HOME = "/";

/** Returns the path if it is one inside the dashboard, else the dashboard's first page. */
export function safePath(path: string | null | undefined): string {
  if (!path || path.length > LONGEST || !path.startsWith("/")) return HOME;
  // Browsers read a backslash as a slash and skip control characters: "/\t/host" is "//host".
  // deno-lint-ignore no-control-regex -- control characters are the point
  if (/^\/[/\\]|[\\\u0000-\u0020\u007f-\uffff]/.test(path)) return HOME;
  const probe = new URL("http://dashboard.invalid");
  if (!URL.canParse(path, probe)) return HOME;
  const url = new URL(path, probe);
  // Dots resolve: "/..//host" is the path "//host", another place to whoever reads it as an address.
  return url.origin === probe.origin && !url.pathname.startsWith("//")
    ? path
    : HOME;
}

/** Returns the address in the dashboard that tells what was connected, or is to be confirmed. */
export function returnUrl(
  dashboardUrl: string,
  path: string | null,
  name: "connected" | "confirm",
  value: string,
): string {
  const url = new URL(dashboardUrl + safePath(path));
  url.searchParams.set(name, value);
  return url.href;
}
