import { perServer, rowsOfServers } from './per-server';

describe('perServer', () => {
  const asked = (text: string, values: (string | number | Date | number[])[]) =>
    perServer({ name: 'x', text, values }).values;

  it('puts the shard in place of the table, and the values into the text', () => {
    expect(
      asked(`select a from outbox where b like '50%' and c = $2 and d = any ($3) and e < $4 limit $1`, [
        7,
        "it's",
        [1, 2],
        new Date(0),
      ]),
    ).toEqual([
      'outbox',
      `select a from %1$s as outbox where b like '50%%' and c = 'it''s' and d = any ('{1,2}') and e < '1970-01-01T00:00:00.000Z' limit 7`,
    ]);
  });

  it('refuses a statement without a table', () => {
    expect(() => asked('select 1', [])).toThrow('reads no table');
  });
});

describe('rowsOfServers', () => {
  it('has the rows of the servers that answered, with times as dates', () => {
    const answers = [
      { success: true, result: '[{"at":"2026-01-02T03:04:05.678+00:00","id":"2026"}]' },
      { success: false, result: 'failed to connect' },
      { success: true, result: '[{"at":null,"id":"x"}]' },
    ];
    expect(rowsOfServers(answers)).toEqual([
      { at: new Date('2026-01-02T03:04:05.678Z'), id: '2026' },
      { at: null, id: 'x' },
    ]);
  });

  it('is undefined if no server answered', () => {
    expect(rowsOfServers([{ success: false, result: 'failed to connect' }])).toBeUndefined();
  });
});
