import { randomUUID } from 'node:crypto';
import { loadConfig } from '../config/config';
import { firstIdAt, newTimedId } from '../ids/ids';
import { NewTenants } from './new-tenants';

const HOUR_MS = 3_600_000;

describe('new tenants', () => {
  const tenants = (percent: string) =>
    new NewTenants(loadConfig({ JWT_SECRET: 'x'.repeat(32), NEW_TENANT_LIMITS_PERCENT: percent }));
  const idOf = (hoursAgo: number): string => firstIdAt(new Date().getTime() - hoursAgo * HOUR_MS);

  it('are those of the last day', () => {
    const some = tenants('25');
    expect(some.has(newTimedId().id)).toBe(true);
    expect(some.has(idOf(23))).toBe(true);
    expect(some.has(idOf(25))).toBe(false);
    expect(some.has(idOf(24 * 400))).toBe(false);
    // No id of a tenant of ours, and from no day.
    expect(Array.from({ length: 1_000 }, () => some.has(randomUUID()))).not.toContain(true);
  });

  it('are none where their limits are those of others', () => {
    expect(tenants('100').has(newTimedId().id)).toBe(false);
  });

  it('have a whole share of a limit, and at least one', () => {
    const some = tenants('25');
    expect([1_000, 200, 5, 1].map((limit) => some.reduced(limit))).toEqual([250, 50, 1, 1]);
  });
});
