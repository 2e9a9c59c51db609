// Which HTTP status PostgREST gives to which SQL error. Pure tables; nothing here talks to anybody.

const BY_STATE = expand({
  400: "P0001",
  404: "42883 42P01",
  405: "25006",
  409: "23503 23505",
  500: "42P17",
});
const BY_CLASS = expand({
  403: "0L 0P 28",
  500: "09 25 2D 38 39 3B 40 54 55 57 58 F0 HV P0 XX",
  503: "08 53",
});
const CONNECTION_LOST = /^(CONNECT|CONNECTION_|ECONN|EPIPE|ETIMEDOUT|57P0[123]|08)/;

function expand(groups) {
  const pairs = Object.entries(groups).flatMap(([status, names]) =>
    names.split(" ").map((name) => [name, Number(status)])
  );
  return new Map(pairs);
}

/** True when the error says that the database is away rather than that it refused. */
export function isConnectionLost(error) {
  return CONNECTION_LOST.test(String(error?.code ?? ""));
}

/** The status for an SQL state; null for what is no SQL state, or for lost connections. */
export function statusOfSqlState(state, role) {
  if (
    typeof state !== "string" || !/^[0-9A-Z]{5}$/.test(state) || isConnectionLost({ code: state })
  ) return null;
  if (state === "42501") return role === "anon" ? 401 : 403;
  const chosen = /^PT([2-5]\d\d)$/.exec(state);
  if (chosen) return Number(chosen[1]);
  return BY_STATE.get(state) ?? BY_CLASS.get(state.slice(0, 2)) ?? 400;
}
