// The address of the PostgreSQL that `npm start` runs on DATA_DIR, and its databases.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** @throws Error with the next step if no server runs there */
export async function embedded() {
  const dataDir = process.env.DATA_DIR || './.data';
  const read = async (name) => (await readFile(join(dataDir, name), 'utf8')).trim();
  try {
    const [, , , port] = (await read('postgres/postmaster.pid')).split('\n');
    const url = async (user, secret) => `postgres://${user}:${await read(secret)}@127.0.0.1:${port}/orders`;
    return {
      serviceUrl: await url('app_service', 'service-password'),
      ownerUrl: await url('postgres', 'postgres-password'),
      jwtSecret: await read('jwt-secret'),
    };
  } catch (error) {
    throw new Error(`Nothing runs on ${dataDir} (${error.code}): npm start first, or set DATABASE_URL or DATA_DIR.`, {
      cause: error,
    });
  }
}
