// Names of a new feature: their spellings in code, and whether they can be used.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
const MAX_LENGTH = 30;

/** Keywords of TypeScript and of PostgreSQL that a name of the template would become. */
const KEYWORDS = new Set(
  (
    'all analyse analyze and any array as asc async await boolean break case cast catch check class collate column const ' +
    'constraint continue create debugger default deferrable delete desc distinct do else end enum except export extends ' +
    'false fetch finally for foreign from function grant group having if implements import in initially instanceof ' +
    'interface intersect into lateral leading let limit localtime new not null number object offset on only or order ' +
    'package placing primary private protected public references return returning select some static string super switch ' +
    'symbol symmetric table then this throw to trailing true try type typeof undefined union unique user using var ' +
    'variadic void when where while window with yield'
  ).split(' '),
);

const pascal = (kebab) => kebab.replace(/(?:^|-)(\w)/g, (_, letter) => letter.toUpperCase());
const camel = (kebab) => kebab.replace(/-(\w)/g, (_, letter) => letter.toUpperCase());
const snake = (kebab) => kebab.replaceAll('-', '_');
const words = (kebab) => kebab.replaceAll('-', ' ');
const capital = (text) => text[0].toUpperCase() + text.slice(1);

/** A function that writes the names of a feature in place of those of the template, demo-things and demo-thing. */
export function spellings(plural, singular) {
  const article = /^[aeiou]/.test(singular) ? 'an' : 'a';
  const pairs = [
    ['DEMO_THINGS', snake(plural).toUpperCase()],
    ['DEMO_THING', snake(singular).toUpperCase()],
    ['DemoThings', pascal(plural)],
    ['DemoThing', pascal(singular)],
    ['demoThings', camel(plural)],
    ['demoThing', camel(singular)],
    ['demo_things', snake(plural)],
    ['demo_thing', snake(singular)],
    ['demo-things', plural],
    ['demo-thing', singular],
    ['Demo things', capital(words(plural))],
    ['A *demo thing*', `${capital(article)} *${words(singular)}*`],
    ['a *demo thing*', `${article} *${words(singular)}*`],
    ['A demo thing', `${capital(article)} ${words(singular)}`],
    ['a demo thing', `${article} ${words(singular)}`],
    ['demo things', words(plural)],
    ['demo thing', words(singular)],
  ];
  return (text) => pairs.reduce((renamed, [from, to]) => renamed.replaceAll(from, to), text);
}

/** The reasons for which a feature cannot have these names. */
export function faultsOfNames(root, template, plural, singular) {
  const names = [plural, singular];
  const malformed = names.filter((name) => !NAME.test(name) || name.length > MAX_LENGTH);
  if (malformed.length > 0) {
    return malformed.map((name) => `'${name}' must be lower case, words joined by -, at most ${MAX_LENGTH} characters`);
  }
  const faults = [];
  const fault = (condition, text) => void (condition && faults.push(text));
  fault(plural === singular, 'the plural and the singular must differ');
  fault(singular.length > plural.length, `the plural comes first: ${singular} ${plural}?`);
  const own = identifiersOf(template);
  for (const name of names) {
    fault(KEYWORDS.has(camel(name)) || KEYWORDS.has(snake(name)), `'${name}' is a word of TypeScript or SQL`);
    fault(
      [camel(name), pascal(name)].some((spelling) => own.has(spelling) || spelling in globalThis),
      `'${name}' is a name of the generated code: choose a longer one`,
    );
  }
  fault(
    ['src', 'src/platform', 'test'].some((folder) => existsSync(join(root, folder, plural))),
    `there is a folder '${plural}' already`,
  );
  const { paths, components } = JSON.parse(readFileSync(join(root, 'test', 'golden', 'openapi.json'), 'utf8'));
  fault(
    Object.keys(paths).some(
      (path) => path.startsWith(`/api/v1/${plural}`) && /^(\/|$)/.test(path.slice(8 + plural.length)),
    ),
    `there is a path /api/v1/${plural} already`,
  );
  const schemas = [singular, plural].map(pascal).flatMap((name) => [name, `Create${name}`, `${name}Page`]);
  for (const name of schemas) fault(name in components.schemas, `the API has a schema ${name} already`);
  const schema = readFileSync(join(root, 'test', 'golden', 'schema.sql'), 'utf8');
  fault(new RegExp(`\\btable ${snake(plural)}\\b`, 'i').test(schema), `there is a table ${snake(plural)} already`);
  return faults;
}

/** Every identifier of the template, which a name of the feature must not become. */
function identifiersOf(template) {
  const files = readdirSync(template, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const texts = files.map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'));
  const code = texts.join('\n').replace(/\/\*[^]*?\*\/|\/\/.*|'[^'\n]*'/g, '');
  return new Set(code.match(/\b[A-Za-z]\w*\b/g));
}
