import { ConfigError, loadConfig } from './config';

const PASSWORD = 'p@ss/w#rd?x%41:ü "$';

describe('a password in a variable of its own', () => {
  it.each([
    ['DATABASE_URL', 'DATABASE_PASSWORD', 'postgres://app_service@db:5432/orders'],
    ['DATABASE_URL', 'DATABASE_PASSWORD', 'postgres://db:5432/orders?sslmode=verify-full'],
    ['MIGRATION_DATABASE_URL', 'MIGRATION_DATABASE_PASSWORD', 'postgresql://owner@db/orders'],
  ] as const)('is the one that is used, whatever its characters: %s', (url, password, text) => {
    const found = new URL(loadConfig({ [url]: text, [password]: PASSWORD })[url] as string);
    expect(decodeURIComponent(found.password)).toBe(PASSWORD);
    const { username, host, pathname, search } = new URL(text);
    expect([found.username, found.host, found.pathname, found.search]).toEqual([username, host, pathname, search]);
  });

  it('is put before the hosts of sentinels, too', () => {
    const config = loadConfig({ REDIS_URL: 'redis+sentinel://a:1,b:2/master', REDIS_PASSWORD: PASSWORD });
    expect(config.REDIS_URL).toBe(`redis+sentinel://:${encodeURIComponent(PASSWORD)}@a:1,b:2/master`);
  });

  it('is refused beside a URL that has one, and left alone without a URL', () => {
    const both = { DATABASE_URL: 'postgres://app_service:one@db/orders', DATABASE_PASSWORD: 'another' };
    expect(() => loadConfig(both)).toThrow(
      new ConfigError(['DATABASE_PASSWORD is set, and DATABASE_URL holds a password, too: leave one out']),
    );
    expect(loadConfig({ REDIS_PASSWORD: 'unused' }).REDIS_URL).toBeUndefined();
  });
});

describe('a URL with a password that is not encoded', () => {
  it.each(['p@ss', 'p/ss@w', 'p#ss', 'p?ss@w', 'p@ss/w#rd?x'])('is refused, and not repeated: %s', (password) => {
    const text = `postgres://app_service:${password}@db:5432/orders`;
    const thrown = ((): Error => {
      try {
        loadConfig({ DATABASE_URL: text });
      } catch (error) {
        return error as Error;
      }
      throw new Error('it was taken');
    })();
    expect(thrown.message).toMatch(/^configuration: DATABASE_URL .*(percent-encoded|must be a URL)/);
    expect(thrown.message).not.toContain(password);
  });
});
