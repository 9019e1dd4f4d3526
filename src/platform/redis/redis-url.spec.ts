import { parseRedisUrl } from './redis-url';

const NOTHING = { username: undefined, password: undefined, sentinelPassword: undefined, master: undefined };

describe('REDIS_URL', () => {
  it.each([
    [
      'redis://localhost',
      { ...NOTHING, kind: 'single', nodes: [{ host: 'localhost', port: 6379 }], db: 0, tls: false },
    ],
    [
      'rediss://user:p%40ss@cache.example.com:6380/2',
      {
        ...NOTHING,
        kind: 'single',
        nodes: [{ host: 'cache.example.com', port: 6380 }],
        db: 2,
        username: 'user',
        password: 'p@ss',
        tls: true,
      },
    ],
    [
      'redis://:p@ss@localhost/',
      { ...NOTHING, kind: 'single', nodes: [{ host: 'localhost', port: 6379 }], db: 0, password: 'p@ss', tls: false },
    ],
    [
      'redis://:secret@[::1]:7000',
      { ...NOTHING, kind: 'single', nodes: [{ host: '::1', port: 7000 }], db: 0, password: 'secret', tls: false },
    ],
    [
      'redis+sentinel://:secret@one:26379,two/orders/1?sentinel_password=s%26s',
      {
        ...NOTHING,
        kind: 'sentinel',
        nodes: [
          { host: 'one', port: 26379 },
          { host: 'two', port: 26379 },
        ],
        master: 'orders',
        db: 1,
        password: 'secret',
        sentinelPassword: 's&s',
        tls: false,
      },
    ],
    [
      'rediss+cluster://user:secret@10.0.0.1:7000,10.0.0.2:7001,c.example.com',
      {
        ...NOTHING,
        kind: 'cluster',
        nodes: [
          { host: '10.0.0.1', port: 7000 },
          { host: '10.0.0.2', port: 7001 },
          { host: 'c.example.com', port: 6379 },
        ],
        db: 0,
        username: 'user',
        password: 'secret',
        tls: true,
      },
    ],
  ])('reads %s', (url, address) => {
    expect(parseRedisUrl(url)).toEqual(address);
  });

  it.each([
    'postgres://localhost',
    'localhost:6379',
    'redis://',
    'redis://one,two',
    'redis://host:0',
    'redis://host:70000',
    'redis://host/first',
    'redis://host/0/1',
    'redis://host?tls=true',
    'redis+sentinel://one,two',
    'redis+sentinel://one,,two/orders',
    'redis+sentinel://one/orders/x',
    'redis+cluster://one/1',
    'redis+cluster://one?sentinel_password=x',
    'redis+ring://one',
    'redis://user:secret%zz@host',
  ])('refuses %s, and does not repeat it', (url) => {
    expect(() => parseRedisUrl(url)).toThrow(/^must be redis/);
    expect(() => parseRedisUrl(url)).not.toThrow(/secret/);
  });
});
