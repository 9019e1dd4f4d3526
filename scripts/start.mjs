// `npm start`: builds what has changed, then runs everything in this process (see src/start.ts).
import { buildIfStale } from './build.mjs';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) fail(`Node.js 20.19 or newer is needed; this is ${process.version}.`);

try {
  await buildIfStale(console.log);
} catch (error) {
  if (error.code === 'ERR_MODULE_NOT_FOUND') fail('Run npm ci first (with NODE_ENV=production: npm ci --include=dev).');
  throw error;
}
await import('../dist/src/start.js');

function fail(message) {
  console.error(message);
  process.exit(1);
}
