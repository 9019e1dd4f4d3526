// `npm run migrate -- …` and the like: builds what has changed, then runs a role of the one image (src/main.ts). Without a
// database of its own it works on the one that `npm start` runs.
import { createRequire } from 'node:module';
import { buildIfStale } from './build.mjs';
import { embedded } from './embedded.mjs';

const { env } = process;
await buildIfStale();
if (!env.DATABASE_URL && !env.DATABASE_URL_FILE && !process.argv.includes('--help')) {
  try {
    const { serviceUrl, ownerUrl, jwtSecret } = await embedded();
    Object.assign(env, { DATABASE_URL: serviceUrl, MIGRATION_DATABASE_URL: ownerUrl });
    if (!env.JWT_SECRET_FILE) env.JWT_SECRET ||= jwtSecret;
  } catch (error) {
    console.error(error.message);
    process.exit(1);
  }
}
createRequire(import.meta.url)('../dist/src/main.js');
