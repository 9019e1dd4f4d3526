import type { Logger } from 'pino';
import type { EpochDatabase } from '../database/roles/epoch-database';
import { EpochCache, type ReadState } from './epoch-cache';
import { Epochs } from './epochs';
import type { EpochRow } from './epochs.queries';

const TENANT = 'tenant';
const PERSON = 'person';

describe('EpochCache', () => {
  let compare: jest.Mock<Promise<EpochRow[]>>;
  let warn: jest.Mock;
  let epochs: Epochs;
  let cache: EpochCache<string>;
  /** The reads that wait for the database, in order. */
  let reads: ((state: ReadState<string>) => void)[];

  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate'], now: 0 });
    compare = jest.fn().mockResolvedValue([]);
    warn = jest.fn();
    epochs = new Epochs({ query: compare } as unknown as EpochDatabase, { warn } as unknown as Logger);
    cache = new EpochCache(epochs);
    reads = [];
  });
  afterEach(() => {
    epochs.onModuleDestroy();
    jest.useRealTimers();
  });

  const get = (): string | Promise<string> => cache.get('key', () => new Promise((resolve) => reads.push(resolve)));
  const settle = () => new Promise(setImmediate);
  const settleRead = async (state: string, epoch: number) => {
    reads.shift()?.({ state, epochs: [{ tenantId: TENANT, userId: PERSON, epoch }] });
    await settle();
  };
  const moved = (epoch: number) => compare.mockResolvedValue([{ tenant_id: TENANT, user_id: PERSON, epoch }]);
  /** Advances the time with a request every 500 ms. */
  async function busyFor(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 500) {
      jest.advanceTimersByTime(500);
      await settle();
      void get();
    }
  }

  it('reads once for concurrent callers', async () => {
    const both = [get(), get()].map((one) => Promise.resolve(one));
    expect(reads).toHaveLength(1);
    await settleRead('owner', 1);
    expect(await Promise.all(both)).toEqual(['owner', 'owner']);
    expect(get()).toBe('owner');
  });

  it('costs no read as long as its counters stand, and one comparison a second', async () => {
    void get();
    await settleRead('owner', 1);
    await busyFor(10_000);
    expect(reads).toHaveLength(0);
    expect(get()).toBe('owner');
    expect(compare).toHaveBeenCalledTimes(10);
  });

  it('reads anew once a counter has moved', async () => {
    void get();
    await settleRead('owner', 1);
    moved(2);
    await busyFor(1_000);
    expect(get()).toBeInstanceOf(Promise);
    await settleRead('viewer', 2);
    expect(get()).toBe('viewer');
  });

  it('does not count a state that was read before a change and arrives after it', async () => {
    void get();
    await settleRead('owner', 1);
    moved(2);
    await busyFor(1_000);
    await settleRead('owner', 1);
    expect(get()).toBeInstanceOf(Promise);
  });

  it('counts nothing for longer than two seconds where the comparison fails', async () => {
    void get();
    await settleRead('owner', 1);
    compare.mockRejectedValue(new Error('away'));
    jest.advanceTimersByTime(1_790);
    await settle();
    expect(get()).toBe('owner');
    jest.advanceTimersByTime(20);
    expect(get()).toBeInstanceOf(Promise);
    expect(warn).toHaveBeenCalled();
  });

  it('compares no state without requests', async () => {
    void get();
    await settleRead('owner', 1);
    for (let second = 0; second < 10; second++) {
      jest.advanceTimersByTime(1_000);
      await settle();
    }
    expect(compare.mock.calls.length).toBeLessThanOrEqual(2);
  });

  it('reads a state again after its maximum age, with any counters', async () => {
    void get();
    await settleRead('owner', 1);
    await busyFor(15_000);
    expect(reads).toHaveLength(1);
  });

  it('keeps the failure of a read for those that wait for it, and for them alone', async () => {
    const failing = cache.get('key', () => Promise.reject(new Error('away')));
    await expect(failing).rejects.toThrow('away');
    void get();
    expect(reads).toHaveLength(1);
  });
});
