/**
 * Reads a table or view whole. The API cuts every answer at its own limit (1,000 rows unless the
 * project says otherwise) without a word, so what was answered is compared with what was counted.
 */

interface Page<Row> {
  readonly data: readonly Row[] | null;
  readonly error: unknown;
  readonly count: number | null;
}

/** `readPage` counts and returns the rows after the given one, in the order of a unique key. */
export async function readAll<Row>(
  readPage: (after: Row | undefined) => PromiseLike<Page<Row>>,
): Promise<Row[]> {
  const pages: (readonly Row[])[] = [];
  for (;;) {
    const { data, error, count } = await readPage(pages.at(-1)?.at(-1));
    if (data === null) throw error;
    pages.push(data);
    if (data.length === 0 || data.length === count) return pages.flat();
  }
}
