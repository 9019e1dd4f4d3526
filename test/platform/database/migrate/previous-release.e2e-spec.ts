import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { createTestDatabase, type TestDatabase } from '../../../harness/databases';
import { forgottenColumns, prepareOnly, type RecordedStatement } from '../../../harness/statements';

const GOLDEN = join(__dirname, '..', '..', '..', 'golden');
const RECORDINGS = readdirSync(GOLDEN).filter((file) => /^statements-.*\.json$/.test(file));

/**
 * While a release is rolled out, the one before it serves on the new schema. Its statements were recorded from a run,
 * as they went over the wire (`npm run record:statements`, at each release).
 */
describe('the previous release', () => {
  let database: TestDatabase;
  let client: Client;

  beforeEach(async () => {
    database = await createTestDatabase();
    client = new Client({ connectionString: database.serviceUrl });
    await client.connect();
  });
  afterEach(async () => {
    await client.end();
    await database.drop();
  });

  const read = (file: string) => JSON.parse(readFileSync(join(GOLDEN, file), 'utf8')) as RecordedStatement[];

  /** The statements among these that fail now, or return other types. */
  async function faultsOf(statements: RecordedStatement[]): Promise<string[]> {
    const faults: string[] = [];
    for (const statement of statements) {
      const what = `${statement.name || statement.text.replace(/\s+/g, ' ').slice(0, 80)} as ${statement.role}`;
      try {
        const { parameters, results } = await prepareOnly(client, statement);
        if (parameters !== statement.parameters) {
          faults.push(`${what}: takes ${parameters}, not ${statement.parameters}`);
        }
        if (results !== null && statement.results !== null && results !== statement.results) {
          faults.push(`${what}: gives ${results}, not ${statement.results}`);
        }
        for (const column of await forgottenColumns(client, statement.text)) {
          faults.push(`${what}: does not write ${column}, which must have a value`);
        }
      } catch (error) {
        faults.push(`${what}: ${(error as Error).message}`);
      }
    }
    return faults;
  }

  it('has been recorded', () => {
    expect(RECORDINGS).toHaveLength(1);
    const statements = read(RECORDINGS[0] as string);
    expect(new Set(statements.map(({ role }) => role))).toEqual(
      new Set(['app_service', 'app_sign_in', 'app_janitor', 'app_relay', 'app_dispatcher']),
    );
  });

  it.each(RECORDINGS)('finds all that its statements need in the schema of this one: %s', async (file) => {
    expect(await faultsOf(read(file))).toEqual([]);
  });

  it.each([
    ['a column is gone', 'alter table orders drop column notes', /order.*: column .*notes.* does not exist/],
    ['a table has another name', 'alter table deliveries rename to sendings', /relation "deliveries" does not exist/],
    ['a role lost a right', 'revoke update on orders from app_service', /: permission denied for table orders/],
    [
      'a column has another type',
      'alter table webhook_endpoints alter version type bigint',
      /: (takes|gives) .*bigint.*, not .*integer/,
    ],
    [
      'a parameter has another type',
      'alter table webhook_endpoints alter rate_limit type numeric',
      /: takes \{.*numeric.*\}, not \{.*integer/,
    ],
    [
      'a new column must have a value',
      'alter table orders add column region text; alter table orders alter region set not null',
      /: does not write orders\.region, which must have a value/,
    ],
  ])('would be broken where %s', async (_, change, fault) => {
    await database.sql(change);
    const faults = await faultsOf(RECORDINGS.flatMap(read));
    expect(faults.filter((found) => fault.test(found))).not.toEqual([]);
  });
});
