/**
 * Reads a table or view whole. The API cuts every answer at its own limit (1,000 rows unless the
 * project says otherwise) without a word, so what was answered is compared with what was counted.
 */

interface Page<Row> {
  readonly data: readonly Row[] | null;
  readonly error: unknown;
  readonly count: number | null;
}

/** Asks for the number of all rows with the first page, and no more with the others. */
export function countOnce(after: unknown): { count?: "exact" } {
  return after === undefined ? { count: "exact" } : {};
}

/** `readPage` returns the rows after the given one, in the order of a unique key. */
export async function readAll<Row>(
  readPage: (after: Row | undefined) => PromiseLike<Page<Row>>,
): Promise<Row[]> {
  const rows: Row[] = [];
  let total = Number.POSITIVE_INFINITY;
  for (;;) {
    const { data, error, count } = await readPage(rows.at(-1));
    if (data === null) throw error;
    rows.push(...data);
    total = Math.min(total, count ?? total);
    if (data.length === 0 || rows.length >= total) return rows;
  }
}
