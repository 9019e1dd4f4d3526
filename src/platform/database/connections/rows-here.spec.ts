import type { Row } from '../sql/statement';
import type { Pipeline } from './pipeline';
import { areTenantsWrites, runHere } from './rows-here';

const TENANT = ['app.tenant_id', '01a00000-0000-7000-8000-000000000001'] as const;
const INSERT = { name: 'a', text: 'insert into orders (tenant_id) values ($1)', values: [TENANT[1]] };

describe('a pipelined transaction whose rows are on another server', () => {
  const elsewhere: Row[][] = [[{ elsewhere: true }]];

  const run = (code: string, message: string): Promise<Row[][]> => {
    const pipeline = { run: () => Promise.reject(Object.assign(new Error(message), { code })) } as unknown as Pipeline;
    return runHere(pipeline, { settings: [TENANT] }, [INSERT], () => Promise.resolve(elsewhere));
  };

  it.each([
    ['42704', 'unrecognized configuration parameter "app.tenant_id"'],
    ['22P02', 'invalid input syntax for type uuid: ""'],
  ])('is sent with BEGIN: %s', async (code, message) => {
    expect(await run(code, message)).toBe(elsewhere);
  });

  it.each([
    ['22P02', 'invalid input syntax for type integer: "the row has changed meanwhile"'],
    ['23505', 'duplicate key value'],
    ['08006', 'Connection terminated'],
  ])('is not sent twice after another failure: %s %s', async (code, message) => {
    await expect(run(code, message)).rejects.toThrow(message);
  });
});

describe('writes that may be pipelined', () => {
  const select = { name: 'b', text: 'insert into orders (tenant_id) select tenant_id from orders', values: [] };

  it.each([
    ['those of a tenant', [TENANT], [INSERT], true],
    ['without a tenant', [], [INSERT], false],
    ['as a narrow role', [['role', 'app_relay'] as const, TENANT], [INSERT], false],
    ['that Citus needs in another form', [TENANT], [INSERT, select], false],
  ])('%s', (_, settings, statements, expected) => {
    expect(areTenantsWrites({ settings }, statements)).toBe(expected);
  });
});
