/** Pages that are worked on while the next ones are fetched: both ends of a comparison and we ourselves work at once. */

/** Maps in order, `width` pages in work at once. */
export async function* mapAhead<A, B>(pages: AsyncIterable<A>, width: number, work: (page: A) => Promise<B>): AsyncGenerator<B> {
  const inWork: Promise<B>[] = [];
  try {
    for await (const page of pages) {
      const result = work(page);
      result.catch(() => undefined); // told when its turn comes
      inWork.push(result);
      if (inWork.length === width) yield await inWork.shift()!;
    }
    while (inWork.length > 0) yield await inWork.shift()!;
  } finally {
    await Promise.allSettled(inWork);
  }
}
