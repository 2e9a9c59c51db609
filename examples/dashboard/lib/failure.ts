/**
 * What went wrong, as a sentence for people, and whether signing in again would help or the user may not
 * see this at all.
 */

interface ErrorLike {
  readonly message?: unknown;
  readonly hint?: unknown;
  readonly code?: unknown;
  readonly name?: unknown;
}

const NO_ANSWER = "There is no answer from the server. Check your connection.";
const FORBIDDEN = "403";
const NOT_SIGNED_IN = new Set(["PGRST301", "PGRST302", "PGRST303", "401"]);

export class Failure {
  constructor(
    readonly sentence: string,
    readonly isSignedOut = false,
    readonly isForbidden = false,
  ) {}

  static signedOut(): Failure {
    return new Failure("Your session ended. Please sign in again.", true);
  }

  /** Makes a sentence of any error: of the database, of a function, or of the network. */
  static from(error: unknown): Failure {
    if (error instanceof Failure) return error;
    const { message, hint, code, name } = (error ?? {}) as ErrorLike;
    if (isNetworkTrouble(error, message)) return new Failure(NO_ANSWER);
    const isSignedOut = NOT_SIGNED_IN.has(String(code)) || name === "AuthSessionMissingError";
    if (isSignedOut) return Failure.signedOut();
    const parts = [message, hint]
      .filter((part): part is string => typeof part === "string" && part.trim() !== "")
      .map(toSentence);
    const sentence = parts.length > 0 ? parts.join(" ") : "Something went wrong.";
    return new Failure(sentence, false, code === FORBIDDEN);
  }

  /** Makes a sentence of a function's refusal: `{error, hint}` and a status. */
  static async fromResponse(response: Response): Promise<Failure> {
    const body: unknown = await response.json().catch(() => null);
    const { error, message, hint } = (body ?? {}) as Record<string, unknown>;
    return Failure.from({
      code: String(response.status),
      message: error ?? message ?? `The server answered ${response.status}.`,
      hint,
    });
  }
}

function isNetworkTrouble(error: unknown, message: unknown): boolean {
  if (error instanceof TypeError) return true;
  return (
    typeof message === "string" &&
    /^TypeError|failed to fetch|networkerror|load failed/i.test(message)
  );
}

/** Begins with a capital and ends with a full stop. */
export function toSentence(text: string): string {
  const trimmed = text.trim();
  const begun = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`;
}
