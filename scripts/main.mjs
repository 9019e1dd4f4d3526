// `npm run migrate -- …` and the like: builds changed sources, then runs a process of the image (src/main.ts). Without
// a configured database it uses the one that `npm start` runs.
import { createRequire } from 'node:module';
import { buildIfStale } from './build.mjs';
import { embedded } from './embedded.mjs';

const { env } = process;
await buildIfStale();
if (!env.DATABASE_URL && !env.DATABASE_URL_FILE && !process.argv.includes('--help')) {
  try {
    const { serviceUrl, ownerUrl, jwtSecret } = await embedded();
    // The driver reads variables such as PGSSLMODE and PGOPTIONS, which are meant for another server.
    for (const name of Object.keys(env)) if (/^PG[A-Z]+$/.test(name)) delete env[name];
    Object.assign(env, { DATABASE_URL: serviceUrl, MIGRATION_DATABASE_URL: ownerUrl });
    if (!env.JWT_SECRET_FILE) env.JWT_SECRET ||= jwtSecret;
  } catch (error) {
    console.error(error.message);
    process.exit(1);
  }
}
createRequire(import.meta.url)('../dist/src/main.js');
