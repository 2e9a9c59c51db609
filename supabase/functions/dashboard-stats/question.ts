// What is asked: an agency and a range of days. Refuses what no database needs to be asked about,
// and spells the rest one way, because keys of the cache are made of it.

export interface Question {
  readonly agencyId: string;
  /** The first and the last day, both included, as YYYY-MM-DD. */
  readonly from: string;
  readonly to: string;
  /** The stamp of the figures that the caller has of these days, or null. */
  readonly known: string | null;
}

/** What is wrong with a question, and what to ask instead. */
export interface Complaint {
  readonly error: string;
  readonly hint: string;
}

export const MOST_DAYS = 1_100;

const DAY_MS = 86_400_000;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
// The database takes no day before 1970 either.
const DAY = /^(19[7-9]\d|[2-9]\d{3})-\d{2}-\d{2}$/;
const EXAMPLE = "for example from=2026-11-01&to=2026-11-30";

/** Reads a question from the parameters of an address, and the stamp that came beside it. */
export function readQuestion(
  query: URLSearchParams,
  known: string | null = null,
): Question | Complaint {
  const agencyId = (query.get("agency_id") ?? "").trim().toLowerCase();
  if (!UUID.test(agencyId)) {
    return {
      error: "agency_id is missing or is no UUID",
      hint: "send the id of your agency as agency_id",
    };
  }
  const from = (query.get("from") ?? "").trim();
  const to = (query.get("to") ?? "").trim();
  const [first, last] = [dayNumber(from), dayNumber(to)];
  if (first === null || last === null) {
    const name = first === null ? "from" : "to";
    return {
      error: `${name} is missing or is no day`,
      hint: `send from and to as YYYY-MM-DD, ${EXAMPLE}`,
    };
  }
  if (first > last) {
    return {
      error: "from is later than to",
      hint: `send the first day as from and the last as to, ${EXAMPLE}`,
    };
  }
  if (last - first + 1 > MOST_DAYS) {
    return {
      error: `the range is longer than ${MOST_DAYS} days`,
      hint: "ask for a shorter range, or for several one after the other",
    };
  }
  return { agencyId, from, to, known };
}

function dayNumber(text: string): number | null {
  const ms = DAY.test(text) ? Date.parse(`${text}T00:00:00Z`) : NaN;
  // The parser takes the 31st of February for a day in March.
  const isDay = !Number.isNaN(ms) &&
    new Date(ms).toISOString().startsWith(text);
  return isDay ? ms / DAY_MS : null;
}
