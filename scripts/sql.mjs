// `npm run -s sql -- [--tenant ID] 'select …'`: runs a statement as the role that serves requests, to look at the
// walls from inside. Connects to DATABASE_URL, else to the PostgreSQL that `npm start` runs on DATA_DIR.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';

const { values, positionals } = parseArgs({ options: { tenant: { type: 'string' } }, allowPositionals: true });
const [statement] = positionals;
if (!statement) fail("usage: npm run -s sql -- [--tenant ID] 'select …'");

const client = new pg.Client({ connectionString: (await configured()) || (await embedded()) });
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

async function configured() {
  const { DATABASE_URL, DATABASE_URL_FILE } = process.env;
  return DATABASE_URL || (DATABASE_URL_FILE && (await readFile(DATABASE_URL_FILE, 'utf8')).trim());
}

async function embedded() {
  const dataDir = process.env.DATA_DIR || './.data';
  try {
    const password = (await readFile(join(dataDir, 'service-password'), 'utf8')).trim();
    const [, , , port] = (await readFile(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8')).split('\n');
    return `postgres://app_service:${password}@127.0.0.1:${port}/orders`;
  } catch (error) {
    return fail(`Nothing runs on ${dataDir} (${error.code}): npm start first, or set DATABASE_URL or DATA_DIR.`);
  }
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
