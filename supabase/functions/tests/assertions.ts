// The few assertions these tests need; Node's own would drag in a package of types.

export class AssertionFailed extends Error {}

/** Fails unless the value is true. */
export function assert(value: unknown, message = "not true"): asserts value {
  if (!value) throw new AssertionFailed(message);
}

/** Fails unless both are the same, down to the last field. */
export function assertEquals(
  actual: unknown,
  expected: unknown,
  message = "",
): void {
  if (isSame(actual, expected)) return;
  throw new AssertionFailed(
    `${message}\n  actual:   ${show(actual)}\n  expected: ${show(expected)}`,
  );
}

export function assertMatch(text: string | null, pattern: RegExp): void {
  if (text !== null && pattern.test(text)) return;
  throw new AssertionFailed(`${show(text)} does not match ${pattern}`);
}

/** Fails unless the action throws an error of this kind; returns that error. */
export async function assertThrows<Kind extends Error>(
  action: () => unknown,
  // deno-lint-ignore no-explicit-any -- a constructor may take whatever it wants
  kind: abstract new (...args: any[]) => Kind,
): Promise<Kind> {
  try {
    await action();
  } catch (error) {
    if (error instanceof kind) return error;
    throw new AssertionFailed(`threw ${error} instead of ${kind.name}`);
  }
  throw new AssertionFailed(`did not throw ${kind.name}`);
}

function isSame(left: unknown, right: unknown): boolean {
  if (Object.is(left, right)) return true;
  if (!isObject(left) || !isObject(right)) return false;
  if (Object.getPrototypeOf(left) !== Object.getPrototypeOf(right)) {
    return false;
  }
  const names = Object.keys(left);
  return names.length === Object.keys(right).length &&
    names.every((name) => name in right && isSame(left[name], right[name]));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? String(value);
}
