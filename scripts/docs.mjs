// What the documents say of the code, kept true. `node scripts/docs.mjs` checks: the README's table of configuration is
// the schema's, the arithmetic of docs/scaling.md is of the measurements, links lead somewhere, files that are named exist.
// `--write` renews both tables.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { renewedScaling, writeScaling } from '../bench/capacity.mjs';
import { buildIfStale } from './build.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const readme = join(root, 'README.md');
const BEGIN = '<!-- configuration: written by `npm run docs:config` -->';
const END = '<!-- end of configuration -->';
/** Folders whose files a document names with a path from the top. */
const NAMED = /`((?:src|test|docs|migrations|scripts|bench|deploy|\.ci)\/[^`\s]*)`/g;

async function configurationTable() {
  await buildIfStale();
  const { schema } = createRequire(import.meta.url)('../dist/src/platform/config/schema.js');
  const rows = Object.entries(schema).map(([name, { doc, fallback, secret }]) => {
    const value = fallback === undefined ? '' : fallback === '' ? 'empty' : `\`${fallback}\``;
    const text = (secret ? `${doc} Secret; also \`${name}_FILE\`.` : doc).replaceAll('|', '\\|');
    return `| \`${name}\` | ${value} | ${text} |`;
  });
  return ['| variable | default | |', '| --- | --- | --- |', ...rows].join('\n');
}

function withTable(text, table) {
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (from === -1 || to < from) throw new Error(`README.md has lost its markers: ${BEGIN} … ${END}`);
  return `${text.slice(0, from + BEGIN.length)}\n${table}\n${text.slice(to)}`;
}

function documents() {
  const inDocs = existsSync(join(root, 'docs')) ? readdirSync(join(root, 'docs'), { recursive: true }) : [];
  const files = [
    'README.md',
    'CHANGELOG.md',
    'SECURITY.md',
    'CONTRIBUTING.md',
    'bench/README.md',
    'deploy/kubernetes/README.md',
    'clients/typescript/README.md',
    ...inDocs.map((file) => join('docs', file)),
  ];
  return files.filter((file) => file.endsWith('.md') && existsSync(join(root, file))).map((file) => join(root, file));
}

/** GitHub's anchor of a heading. */
const anchorOf = (heading) =>
  heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-');

const withoutCode = (text) => text.replace(/^(```|~~~)[^]*?^\1/gm, '');
const anchorsOf = (text) => [...withoutCode(text).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchorOf(heading));

function faultsOf(file) {
  const text = withoutCode(readFileSync(file, 'utf8'));
  const name = relative(root, file);
  const faults = [];
  for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target)) continue;
    const [path, anchor] = target.split('#');
    const linked = path === '' ? file : join(dirname(file), path);
    if (!existsSync(linked)) faults.push(`${name}: the link to ${target} leads nowhere`);
    else if (anchor && !anchorsOf(readFileSync(linked, 'utf8')).includes(anchor)) {
      faults.push(`${name}: ${path || 'this file'} has no heading #${anchor}`);
    }
  }
  for (const [, path] of text.matchAll(NAMED)) {
    if (/[<*…{]/.test(path)) continue;
    if (!existsSync(join(root, path))) faults.push(`${name}: there is no ${path}`);
  }
  return faults;
}

const text = readFileSync(readme, 'utf8');
const renewed = withTable(text, await configurationTable());
if (process.argv.includes('--write')) {
  writeFileSync(readme, renewed);
  writeScaling();
} else {
  const faults = documents().flatMap(faultsOf);
  if (renewed !== text) faults.unshift('README.md: the table of configuration is not the schema; npm run docs:config');
  const scaling = renewedScaling();
  if (scaling.renewed !== scaling.text) {
    faults.unshift(
      'docs/scaling.md: its arithmetic is not of the measurements in bench/README.md; npm run docs:config',
    );
  }
  for (const fault of faults) console.error(fault);
  if (faults.length > 0) process.exit(1);
  console.log(`The documents agree with the code (${documents().length} read).`);
}
