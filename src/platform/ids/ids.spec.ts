import { UUID } from 'uuidv7';
import { firstIdAt, newId, newIdAt, newTimedId, timeOfId } from './ids';

describe('ids', () => {
  it('are UUIDs of version 7, as the library writes them', () => {
    for (let i = 0; i < 5_000; i++) {
      const id = newId();
      const parsed = UUID.parse(id);
      expect(parsed.toString()).toBe(id);
      expect([parsed.getVersion(), parsed.getVariant()]).toEqual([7, 'VAR_10']);
    }
  });

  it('may have the time of another clock', () => {
    const id = newIdAt(1_700_000_000_000.7);
    expect([timeOfId(id).getTime(), UUID.parse(id).getVersion()]).toEqual([1_700_000_000_000, 7]);
    expect(newIdAt(1_700_000_000_000)).not.toBe(id);
  });

  it('increase, and hold their time', () => {
    const before = Date.now();
    const made = Array.from({ length: 5_000 }, () => newTimedId());
    const ids = made.map(({ id }) => id);
    expect([...ids].sort()).toEqual(ids);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { id, at } of made) {
      expect(timeOfId(id)).toEqual(at);
      expect(at.getTime()).toBeGreaterThanOrEqual(before);
      expect(id > firstIdAt(at.getTime())).toBe(true);
      expect(id < firstIdAt(at.getTime() + 1)).toBe(true);
    }
  });
});
