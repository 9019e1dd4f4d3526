// `npm run start:dev`: runs `npm start` and restarts it after a change of the source. The data folder and its database
// are kept. `--inspect` (`npm run start:debug`) opens Node's inspector.
import { spawn } from 'node:child_process';
import { watch } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
/** Editors write a file in several steps; a restart waits until they are quiet for this long, milliseconds. */
const QUIET_MS = 200;
const WATCHED = ['src', 'migrations'];
const inspect = process.argv.filter((argument) => argument.startsWith('--inspect'));

let child;
let stopping = false;
let restart = false;

function start() {
  restart = false;
  child = spawn(process.execPath, ['--max-semi-space-size=32', ...inspect, join(root, 'scripts', 'start.mjs')], {
    cwd: process.cwd(),
    stdio: 'inherit',
    // Without npm's name the child does not watch for the end of its parent shell.
    env: { ...process.env, npm_lifecycle_event: undefined },
  });
  child.on('exit', (code) => {
    child = undefined;
    if (stopping) process.exit(code ?? 0);
    if (restart) start();
    else console.log('Stopped; waiting for a change.');
  });
}

let timer;
function changed(file) {
  if (!file?.endsWith('.ts') || file.endsWith('.spec.ts')) return;
  clearTimeout(timer);
  timer = setTimeout(() => {
    console.log(`${file} changed: starting again`);
    if (!child) start();
    else {
      restart = true;
      child.kill('SIGINT');
    }
  }, QUIET_MS);
}

for (const folder of WATCHED) watch(join(root, folder), { recursive: true }, (_event, file) => changed(file));
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    stopping = true;
    if (child) child.kill(signal);
    else process.exit(0);
  });
}
start();
