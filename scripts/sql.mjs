// `npm run -s sql -- [--tenant ID] 'select …'`: runs a statement as the role that serves requests, to see the isolation
// from inside. Connects to DATABASE_URL, otherwise to the PostgreSQL that `npm start` runs on DATA_DIR.
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { embedded } from './embedded.mjs';

const { values, positionals } = parseArgs({ options: { tenant: { type: 'string' } }, allowPositionals: true });
const [statement] = positionals;
if (!statement) fail("usage: npm run -s sql -- [--tenant ID] 'select …'");

const client = new pg.Client({ connectionString: await serviceUrl().catch((error) => fail(error.message)) });
try {
  await client.connect();
  await client.query('begin read only; set local role app_service');
  if (values.tenant) await client.query(`set local app.tenant_id = ${pg.escapeLiteral(values.tenant)}`);
  const { rows } = await client.query(statement);
  for (const row of rows) console.log(JSON.stringify(row));
} catch (error) {
  fail(`ERROR: ${error.message || error.code}`);
} finally {
  await client.end();
}

async function serviceUrl() {
  const { DATABASE_URL, DATABASE_URL_FILE } = process.env;
  if (DATABASE_URL) return DATABASE_URL;
  if (DATABASE_URL_FILE) return (await readFile(DATABASE_URL_FILE, 'utf8')).trim();
  return (await embedded()).serviceUrl;
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
