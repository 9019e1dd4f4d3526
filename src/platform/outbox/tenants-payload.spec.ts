import { randomUUID } from 'node:crypto';
import { newId } from '../ids/ids';
import { formatTenants, parseTenants } from './tenants-payload';

describe('the tenants in a notification', () => {
  it('survive formatting and parsing', () => {
    const tenants = [newId(), randomUUID(), '00000000-0000-7000-8000-000000000000'];
    expect(parseTenants(formatTenants(new Set(tenants)))).toEqual(tenants);
    expect(parseTenants(formatTenants(new Set(tenants.slice(0, 1))))).toEqual(tenants.slice(0, 1));
  });

  it('are omitted if they are too many for one message', () => {
    const every = (count: number): string => formatTenants(new Set(Array.from({ length: count }, () => newId())));
    expect(every(200).length).toBeLessThan(8_000);
    expect(every(201)).toBe('');
  });

  it.each(['', 'x', '12,65535', `${newId()},`, `,${newId()}`, `${newId()} `])(
    'of %p concern every tenant',
    (payload) => {
      expect(parseTenants(payload)).toBeUndefined();
    },
  );
});
