import type { TenantDatabase } from '../../platform/database/tenant-database';
import { SessionStates } from './session-states';

const LIVE = {
  user_id: 'somebody',
  role: 'admin',
  revoked_at: null,
  suspended_at: null,
  expires_at: new Date('9999-12-31'),
};

describe('what is known of sessions', () => {
  let now = 0;
  /** Those who wait for the database, in order. */
  const asked: ((rows: object[]) => void)[] = [];
  let states: SessionStates;

  beforeEach(() => {
    now = 10_000;
    asked.length = 0;
    jest.spyOn(performance, 'now').mockImplementation(() => now);
    states = new SessionStates({
      query: () => new Promise((resolve) => asked.push(resolve)),
    } as unknown as TenantDatabase);
  });
  afterEach(() => jest.restoreAllMocks());

  const get = (): unknown => states.get('tenant', 'session');
  const answer = async (rows: object[]) => {
    asked.shift()?.(rows);
    await new Promise(setImmediate);
  };

  it('asks once for all who want to know', async () => {
    const both = [get(), get()];
    expect(asked).toHaveLength(1);
    await answer([LIVE]);
    expect(await Promise.all(both)).toEqual(Array(2).fill({ userId: 'somebody', role: 'admin' }));
  });

  it('renews what is asked for again, and makes nobody wait for it', async () => {
    void get();
    await answer([LIVE]);
    now += 499;
    expect(get()).toEqual({ userId: 'somebody', role: 'admin' });
    expect(asked).toHaveLength(0);
    now += 1;
    expect(get()).toEqual({ userId: 'somebody', role: 'admin' });
    expect(get()).toEqual({ userId: 'somebody', role: 'admin' });
    expect(asked).toHaveLength(1);
    await answer([{ ...LIVE, role: 'viewer' }]);
    expect(get()).toEqual({ userId: 'somebody', role: 'viewer' });
  });

  it('believes nothing for longer than a second, however long the next answer takes', async () => {
    void get();
    await answer([LIVE]);
    now += 999;
    expect(get()).toEqual({ userId: 'somebody', role: 'admin' });
    now += 1;
    const waiting = get();
    expect(waiting).toBeInstanceOf(Promise);
    await answer([{ ...LIVE, revoked_at: new Date() }]);
    expect(await waiting).toBeUndefined();
    expect(get()).toBeUndefined();
  });

  it('does not keep what was read from before a change', async () => {
    void get();
    await answer([LIVE]);
    now += 600;
    void get();
    states.forget('tenant', 'session');
    await answer([LIVE]);
    expect(get()).toBeInstanceOf(Promise);
    await answer([{ ...LIVE, revoked_at: new Date() }]);
    expect(get()).toBeUndefined();
  });

  it('tells those who wait, and them alone, that the database is away', async () => {
    void get();
    await answer([LIVE]);
    jest.spyOn(states['database'], 'query').mockRejectedValue(new Error('away'));
    now += 600;
    expect(get()).toEqual({ userId: 'somebody', role: 'admin' });
    await new Promise(setImmediate);
    now += 600;
    await expect(get()).rejects.toThrow('away');
  });
});
