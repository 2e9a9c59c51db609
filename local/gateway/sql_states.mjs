// Which HTTP status PostgREST gives to which SQL error. Pure tables; nothing here talks to anybody.

const BY_STATE = {
  23503: 409, 23505: 409, 25006: 405, "42P17": 500, 42883: 404, "42P01": 404, P0001: 400,
};
const BY_CLASS = {
  "08": 503, "09": 500, "0L": 403, "0P": 403, 25: 500, 28: 403, "2D": 500, 38: 500, 39: 500,
  "3B": 500, 40: 500, 53: 503, 54: 500, 55: 500, 57: 500, 58: 500, F0: 500, HV: 500, P0: 500, XX: 500,
};
const CONNECTION_LOST = /^(CONNECT|CONNECTION_|ECONN|EPIPE|ETIMEDOUT|57P0[123]|08)/;

/** True when the error says that the database is away rather than that it refused. */
export function isConnectionLost(error) {
  return CONNECTION_LOST.test(String(error?.code ?? ""));
}

/** The status for an SQL state; null for what is no SQL state, or for lost connections. */
export function statusOfSqlState(state, role) {
  if (typeof state !== "string" || !/^[0-9A-Z]{5}$/.test(state) || isConnectionLost({ code: state })) return null;
  if (state === "42501") return role === "anon" ? 401 : 403;
  const chosen = /^PT([2-5]\d\d)$/.exec(state);
  if (chosen) return Number(chosen[1]);
  return BY_STATE[state] ?? BY_CLASS[state.slice(0, 2)] ?? 400;
}
