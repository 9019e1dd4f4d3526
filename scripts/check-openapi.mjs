// Checks the golden OpenAPI document: redocly finds no error or warning in it, and scores it well.
import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const LEAST_SCORE = 95;
const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const cli = join(root, 'node_modules', '@redocly', 'cli', 'bin', 'cli.js');
const env = { ...process.env, REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true', REDOCLY_TELEMETRY: 'off' };

function redocly(...args) {
  return execFileSync(process.execPath, [cli, ...args], {
    cwd: root,
    env,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

try {
  redocly('lint', 'main');
} catch (error) {
  process.stderr.write(`${error.stdout}\n${error.stderr}`);
  process.exit(1);
}
const { agentReadiness, operationScores } = JSON.parse(redocly('score', 'main', '--format=json'));
if (agentReadiness < LEAST_SCORE) {
  const lowest = Object.entries(operationScores)
    .map(([operation, { agentReadiness: score, subscores }]) => ({ operation, score, subscores }))
    .sort((a, b) => a.score - b.score);
  for (const { operation, score, subscores } of lowest) {
    const short = Object.entries(subscores)
      .filter(([, value]) => value < 1)
      .map(([name, value]) => `${name} ${value.toFixed(2)}`);
    console.error(`  ${String(score).padEnd(6)} ${operation.padEnd(24)} ${short.join(', ')}`);
  }
  console.error(`redocly scores the document ${agentReadiness}; it is to be ${LEAST_SCORE} or more.`);
  process.exit(1);
}
console.log(`The OpenAPI document is clean, and scores ${agentReadiness}.`);
