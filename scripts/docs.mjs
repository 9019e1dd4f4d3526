// Keeps the documents true to the code. `node scripts/docs.mjs` checks that the table of docs/configuration.md matches
// the schema, that the arithmetic of docs/scaling.md follows from the measurements, that links have a target, that
// named files exist, and that the glossary's names are exported by the code. `--write` renews both tables.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { renewedScaling, writeScaling } from '../bench/capacity.mjs';
import { buildIfStale } from './build.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const configurationPage = join(root, 'docs', 'configuration.md');
const BEGIN = '<!-- configuration: written by `npm run docs:config` -->';
const END = '<!-- end of configuration -->';
/** Folders whose files a document names with a path from the root. */
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
  if (from === -1 || to < from) throw new Error(`docs/configuration.md has lost its markers: ${BEGIN} … ${END}`);
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

/** Lines of the diffs in a document that the named files do not have: the old lines, and those around them. */
function diffFaults(file) {
  const faults = [];
  for (const [, diff] of readFileSync(file, 'utf8').matchAll(/^```diff\n([^]*?)^```/gm)) {
    let [path, lines] = ['', new Set()];
    for (const line of diff.split('\n')) {
      if (line.startsWith('+++ b/')) {
        path = line.slice('+++ b/'.length);
        lines = new Set(existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8').split('\n') : []);
      } else if (/^[- ]/.test(line) && !lines.has(line.slice(1))) {
        faults.push(`${relative(root, file)}: its diff has a line that ${path} has not: ${line.slice(1).trim()}`);
      }
    }
  }
  return faults;
}

/** Names in the glossary's second column that no file of src exports, and words that are listed twice. */
function glossaryFaults() {
  const rows = [
    ...readFileSync(join(root, 'docs', 'glossary.md'), 'utf8').matchAll(/^\| ([^|]+) \| ([^|]+) \|/gm),
  ].slice(2);
  const exported = new Set();
  for (const file of readdirSync(join(root, 'src'), { recursive: true })) {
    if (!file.endsWith('.ts') || file.endsWith('.spec.ts')) continue;
    const source = readFileSync(join(root, 'src', file), 'utf8');
    for (const [, name] of source.matchAll(
      /^export (?:abstract |async )?(?:class|function|const|interface|type) (\w+)/gm,
    )) {
      exported.add(name);
    }
  }
  const words = rows.map(([, word]) => word.trim());
  const faults = words.filter((word, at) => words.indexOf(word) !== at).map((word) => `${word} is listed twice`);
  for (const [, , names] of rows) {
    for (const [, name] of names.matchAll(/`(\w+)`/g)) {
      if (!exported.has(name)) faults.push(`no file of src exports ${name}`);
    }
  }
  return faults.map((fault) => `docs/glossary.md: ${fault}`);
}

const text = readFileSync(configurationPage, 'utf8');
const renewed = withTable(text, await configurationTable());
if (process.argv.includes('--write')) {
  writeFileSync(configurationPage, renewed);
  writeScaling();
} else {
  const faults = documents().flatMap((file) => [...faultsOf(file), ...diffFaults(file)]);
  if (renewed !== text) faults.unshift('docs/configuration.md: the table differs from the schema; npm run docs:config');
  const scaling = renewedScaling();
  if (scaling.renewed !== scaling.text) {
    faults.unshift(
      'docs/scaling.md: its arithmetic is not of the measurements in bench/README.md; npm run docs:config',
    );
  }
  faults.push(...glossaryFaults());
  for (const fault of faults) console.error(fault);
  if (faults.length > 0) process.exit(1);
  console.log(`The documents agree with the code (${documents().length} read).`);
}
