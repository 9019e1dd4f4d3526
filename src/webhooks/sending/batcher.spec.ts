import { Batcher } from './batcher';

describe('Batcher', () => {
  it('runs items of one turn of the event loop together, in order', async () => {
    const batches: number[][] = [];
    const batcher = new Batcher<number, number>(
      async (_key, items) => {
        batches.push(items);
        return items.map((item) => item * 2);
      },
      { limit: 10 },
    );
    expect(await Promise.all([1, 2, 3].map((item) => batcher.submit('a', item)))).toEqual([2, 4, 6]);
    expect(batches).toEqual([[1, 2, 3]]);
  });

  it('separates keys and bounds a batch', async () => {
    const batches: string[] = [];
    const batcher = new Batcher<number, number>(
      async (key, items) => {
        batches.push(`${key}:${items.join(',')}`);
        return items;
      },
      { limit: 2 },
    );
    await Promise.all([1, 2, 3].map((item) => batcher.submit('a', item)).concat(batcher.submit('b', 9)));
    expect(batches.sort()).toEqual(['a:1,2', 'a:3', 'b:9']);
  });

  it('rejects only the items of a failed batch, and continues', async () => {
    const batcher = new Batcher<number, number>(
      async (_key, items) => {
        if (items.includes(1)) throw new Error('no');
        return items;
      },
      { limit: 1 },
    );
    const results = await Promise.allSettled([batcher.submit('a', 1), batcher.submit('a', 2)]);
    expect(results.map((result) => result.status)).toEqual(['rejected', 'fulfilled']);
    expect(await batcher.submit('a', 3)).toBe(3);
  });

  it('runs a single item at once, and later items within the interval together', async () => {
    const batches: number[][] = [];
    const batcher = new Batcher<number, number>(
      async (_key, items) => {
        batches.push(items);
        return items;
      },
      { limit: 10, interval: 100 },
    );
    await batcher.submit('a', 1);
    const second = batcher.submit('a', 2);
    await new Promise((resolve) => setImmediate(resolve));
    await Promise.all([second, batcher.submit('a', 3)]);
    expect(batches).toEqual([[1], [2, 3]]);
  });

  it('does not wait longer when it has enough items', async () => {
    const batches: number[][] = [];
    const batcher = new Batcher<number, number>(
      async (_key, items) => {
        batches.push(items);
        return items;
      },
      { limit: 10, interval: 5_000, enough: 3 },
    );
    await batcher.submit('a', 0);
    const first = [1, 2].map((item) => batcher.submit('a', item));
    await new Promise((resolve) => setImmediate(resolve));
    expect(batches).toEqual([[0]]);
    await Promise.all([...first, batcher.submit('a', 3), batcher.submit('a', 4)]);
    expect(batches).toEqual([[0], [1, 2, 3, 4]]);
  });

  it('waits longer with more items in flight, for one interval at most', async () => {
    const batches: string[] = [];
    const ends: (() => void)[] = [];
    const batcher = new Batcher<number, number>(
      async (key, items) => {
        batches.push(`${key}:${items.join(',')}`);
        if (key === 'busy') await new Promise<void>((resolve) => ends.push(resolve));
        return items;
      },
      { limit: 1_000, interval: 50 },
    );
    const busy = Promise.all(Array.from({ length: 500 }, (_, i) => batcher.submit('busy', i)));
    const first = batcher.submit('a', 1);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(batches).toHaveLength(1);
    expect(await Promise.all([first, batcher.submit('a', 2)])).toEqual([1, 2]);
    expect(batches.slice(1)).toEqual(['a:1,2']);

    ends[0]?.();
    await busy;
    await new Promise((resolve) => setTimeout(resolve, 120));
    const alone = batcher.submit('a', 3);
    await new Promise((resolve) => setImmediate(resolve));
    expect(batches.slice(2)).toEqual(['a:3']);
    await alone;
  });
});
