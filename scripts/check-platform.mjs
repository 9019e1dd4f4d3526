// `npm run check:structure`, third part: the platform contains no name of a feature. The rules of dependency-cruiser
// check imports; this script searches for words. It reads the names of tables, permissions and event types from the
// files in which features declare them. `node scripts/check-platform.mjs FOLDER` checks another tree.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), '..');
const PLATFORM = join('src', 'platform');

/** Nouns of features that are business and no infrastructure. */
const WORDS = ['order', 'webhook', 'invitation', 'delivery', 'deliverie', 'endpoint'];

/** Contexts in which such a word means something else. */
const OTHER_MEANINGS = [
  /\border by\b/g,
  /\b(?:[Ii]n|the) (?:(?:this|the|that|their|another|given) )*order\b/g,
  /\bbyte order mark\b/g,
  /\border: -?\d/g, // CSS
  /\bask for an invitation\b/g,
  /\bOTEL_\w+_ENDPOINT\b/g,
  /\{ webhooks: messages \}/g, // the keyword of OpenAPI
  /\bendpoint_id\b/g, // a column of the outbox: another name would break the release before
];

/** The operator's variables are one documented list, with those of every feature. */
const VARIABLES = join(PLATFORM, 'config', '');
/** Finds a table where SQL names it. */
const sqlName = (table) =>
  new RegExp(`\\b(?:from|join|into|update|table|references|on)\\s+(?:only\\s+)?(?:public\\.)?"?${table}"?\\b`, 'gi');

function sources(folder, matching) {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && matching(entry.name))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + (root.endsWith('/') ? 0 : 1)))
    .sort();
}

const read = (file) => readFileSync(join(root, file), 'utf8');
const ofFeatures = (ending) =>
  sources('src', (name) => name.endsWith(ending)).filter((file) => !file.startsWith(PLATFORM));
const namesIn = (files, pattern) => [
  ...new Set(files.flatMap((file) => [...read(file).matchAll(pattern)].map(([, name]) => name))),
];

const tables = namesIn(ofFeatures('.tables.ts'), /(\w+): '(?:reference|distributed|local)'/g);
const permissions = namesIn(ofFeatures('.permissions.ts'), /'(\w+:\w+)'/g);
const eventTypes = namesIn(ofFeatures('-event-types.ts'), /name: '([a-z0-9_.]+\.[a-z0-9_.]+)'/g);

/** The same text, of the same length, with the marks of comments and the meanings of no interest blanked. */
function significant(text) {
  const joined = text.replace(/\n(\s*)(\*|\/\/)(?= )/g, (whole) => `\n${' '.repeat(whole.length - 1)}`);
  // A context may span two lines, so line breaks count as spaces during the search for contexts.
  const line = joined.replaceAll('\n', ' ').replace(/ {2,}/g, (blanks) => ` ${'\0'.repeat(blanks.length - 1)}`);
  const positions = line.split('').flatMap((character, at) => (character === '\0' ? [] : [at]));
  const dense = line.replaceAll('\0', '');
  const blanked = joined.split('');
  for (const meaning of OTHER_MEANINGS) {
    for (const { 0: found, index } of dense.matchAll(meaning)) {
      for (let at = index; at < index + found.length; at++) {
        if (blanked[positions[at]] !== '\n') blanked[positions[at]] = ' ';
      }
    }
  }
  return blanked.join('');
}

const withoutComments = (text) =>
  text.replace(/\/\*[^]*?\*\/|(?<!:)\/\/.*/g, (comment) => comment.replace(/[^\n]/g, ' '));

/** Finds a word by itself and as a part of a name, in any spelling of names. */
function wordPattern(word) {
  const title = word[0].toUpperCase() + word.slice(1);
  return new RegExp(`(?<![a-z])${word}s?(?![a-z])|${title}s?(?![a-z])|(?<![A-Z])${word.toUpperCase()}S?(?![A-Z])`, 'g');
}

const literal = (name) => new RegExp(`(?<![\\w.:])${name.replaceAll('.', '\\.')}(?![\\w:])`, 'g');
const RULES = [
  ...WORDS.map((word) => ({ pattern: wordPattern(word), what: 'a word of a feature', words: true })),
  ...tables.map((table) => ({ pattern: sqlName(table), what: 'a table of a feature', code: true })),
  ...permissions.map((name) => ({ pattern: literal(name), what: 'a permission of a feature' })),
  ...eventTypes.map((name) => ({ pattern: literal(name), what: 'an event type of a feature' })),
];

const files = sources(PLATFORM, (name) => name.endsWith('.ts') && !name.endsWith('.spec.ts'));
const faults = files.flatMap((file) => {
  const text = significant(read(file));
  const code = withoutComments(read(file));
  return RULES.filter(({ words }) => !(words && file.startsWith(VARIABLES))).flatMap(
    ({ pattern, what, code: inCode }) =>
      [...(inCode ? code : text).matchAll(pattern)].map(({ 0: found, index }) => {
        const line = text.slice(0, index).split('\n').length;
        return `${file}:${line}: '${found.trim()}' is ${what}; the feature registers it with the platform`;
      }),
  );
});
for (const fault of faults) console.error(fault);
if (faults.length > 0) process.exit(1);
console.log(
  `The platform names no feature (${files.length} files; ${tables.length} tables, ${permissions.length} permissions, ` +
    `${eventTypes.length} event types).`,
);
