/**
 * What the private channel of an agency says: small hints that something changed, one message per
 * commit. They tell what to fetch again and are never shown as figures themselves.
 */

export const EVENTS = ["transactions", "job", "model", "sync_state"] as const;
export type HintEvent = (typeof EVENTS)[number];

export interface HintItem {
  readonly model_id?: string;
  readonly latest_at?: string;
  readonly sync_type?: string;
}

export interface Hint {
  readonly event: HintEvent;
  /** Which kinds the commit changed; the event itself where the message does not say. */
  readonly changed: ReadonlySet<string>;
  readonly items: readonly HintItem[];
  /** Too much changed to be listed: everything is to be fetched again. */
  readonly many: boolean;
}

/** Reads a message; whatever it lacks only makes the hint broader. */
export function readHint(event: HintEvent, payload: unknown): Hint {
  const message = isRecord(payload) ? payload : {};
  const listed = Array.isArray(message.items) ? message.items : [message];
  const changed = Array.isArray(message.changed) ? message.changed : [event];
  return {
    event,
    changed: new Set(changed.filter((kind) => typeof kind === "string")),
    items: listed.filter(isRecord),
    many: message.many === true,
  };
}

/**
 * Tells whether a hint can concern rows at or after an instant. History that is read for the first
 * time lies before all that is shown, and costs no request.
 */
export function reaches(hint: Hint, instant: string | null): boolean {
  if (hint.many || instant === null) return true;
  const oldest = Date.parse(instant);
  return hint.items.some(({ latest_at: latest }) => {
    const at = Date.parse(latest ?? "");
    return Number.isNaN(at) || at >= oldest;
  });
}

/**
 * The creators that a hint is about; null where there may be more. It lists the kind that tells most:
 * what else the commit changed is of the same creator, unless it is about several.
 */
export function creatorsOf({ changed, items }: Hint): ReadonlySet<string> | null {
  const named = new Set(items.map(({ model_id: id }) => id));
  if (named.size === 0 || named.has(undefined) || (named.size > 1 && changed.size > 1)) return null;
  return named as ReadonlySet<string>;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
