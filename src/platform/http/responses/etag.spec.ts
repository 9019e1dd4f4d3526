import { assertMatch, isNotModified } from './etag';

describe('conditions', () => {
  it.each(['"3"', 'W/"3"', '*', '"1", "3"', '"1",W/"3"', '"a,b", "3"', ' "3" '])('%s names "3"', (header) => {
    expect(isNotModified(header, '"3"')).toBe(true);
    expect(() => assertMatch(header, '"3"')).not.toThrow();
  });

  it.each(['"4"', '"a,*,b"', '"a,3,b"', 'W/"4"', '"", "33"'])('%s names another', (header) => {
    expect(isNotModified(header, '"3"')).toBe(false);
    expect(() => assertMatch(header, '"3"')).toThrow(expect.objectContaining({ code: 'version_conflict' }));
  });

  it.each(['3', 'w/"3"', '"3', '3"', '', '"3",', ',', '"3" "4"', `"${'x'.repeat(1023)}"`])(
    '%s is refused',
    (header) => {
      const refused = expect.objectContaining({ code: 'malformed_request' });
      expect(() => isNotModified(header, '"3"')).toThrow(refused);
      expect(() => assertMatch(header, '"3"')).toThrow(refused);
    },
  );

  it('reads the longest header in no time', () => {
    const began = performance.now();
    for (const header of [
      ' '.repeat(1024),
      '"a",'.repeat(256).slice(0, -1),
      `"${'a'.repeat(1022)}"`,
      'W/'.repeat(512),
    ]) {
      try {
        assertMatch(header, '"3"');
      } catch {
        // Only the time matters.
      }
    }
    expect(performance.now() - began).toBeLessThan(5_000);
  });
});
