// `npm start`: builds what has changed, then runs everything in this process (see src/start.ts).
import { buildIfStale } from './build.mjs';

await buildIfStale();
await import('../dist/src/start.js');
