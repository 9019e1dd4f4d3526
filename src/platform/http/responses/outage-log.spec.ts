import type { FastifyBaseLogger } from 'fastify';
import { Unavailable } from '../../errors';
import { OutageLog } from './outage-log';

describe('the log of an outage', () => {
  afterEach(() => jest.useRealTimers());

  it('has one line for each cause, and one when it is over', () => {
    jest.useFakeTimers();
    const lines: [string, object, string][] = [];
    const line = (level: string) => (fields: object, msg: string) => void lines.push([level, fields, msg]);
    const log = { error: line('error'), info: line('info'), debug: () => undefined } as unknown as FastifyBaseLogger;
    const outage = new OutageLog();
    for (let i = 0; i < 1_000; i++) outage.note(log, { request_id: String(i) }, new Unavailable('connection refused'));
    outage.note(log, { request_id: 'x' }, new Unavailable('too many connections'));
    expect(lines.map(([level, fields]) => [level, fields])).toMatchObject([
      ['error', { request_id: '0', internal: 'connection refused' }],
      ['error', { request_id: 'x', internal: 'too many connections' }],
    ]);
    jest.advanceTimersByTime(4_000);
    expect(lines).toHaveLength(2);
    jest.advanceTimersByTime(3_000);
    expect(lines[2]).toEqual(['info', { refused: 1_001 }, 'requests are served again']);
    outage.note(log, { request_id: 'y' }, new Unavailable('connection refused'));
    expect(lines).toHaveLength(4);
  });
});
