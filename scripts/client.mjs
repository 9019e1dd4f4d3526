// Renews the types and the special routes of the TypeScript client from the golden OpenAPI document.
// test/platform/http/openapi/openapi.e2e-spec.ts compares that document with the service. `--check` compares instead.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import openapiTypes, { astToString } from 'openapi-typescript';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const golden = join(root, 'test', 'golden', 'openapi.json');
const sources = join(root, 'clients', 'typescript', 'src');
const HEAD = '// Generated from the OpenAPI document by `npm run client`: not to be edited.\n\n';

/** Operations as [method, path, operation]. */
function operations(document) {
  const methods = ['get', 'post', 'put', 'patch', 'delete'];
  return Object.entries(document.paths).flatMap(([path, item]) =>
    methods.filter((method) => item[method]).map((method) => [method, path, item[method]]),
  );
}

function setOf(name, comment, values) {
  const lines = values.map((value) => `  '${value}',\n`).join('');
  return `/** ${comment} */\nexport const ${name}: ReadonlySet<string> = new Set([\n${lines}]);\n`;
}

/** The facts that types cannot provide at run time: the POSTs that take a key, and the routes without a credential. */
function routes(document) {
  const all = operations(document);
  const takesKey = ([, , { parameters = [] }]) =>
    parameters.some(({ $ref }) => $ref === '#/components/parameters/IdempotencyKey');
  const keyed = all.filter(takesKey).map(([, path]) => path);
  const open = all.filter(([, , { security }]) => security?.length === 0).map(([, path]) => path);
  return [
    setOf('KEYED_POSTS', 'Paths whose POST takes an `Idempotency-Key`.', keyed),
    setOf('OPEN_PATHS', 'Paths that take no credential.', open),
  ].join('\n');
}

const document = JSON.parse(readFileSync(golden, 'utf8'));
const generated = {
  // The service assumes a default: the sender of a body may leave the field out.
  'schema.ts': HEAD + astToString(await openapiTypes(pathToFileURL(golden), { defaultNonNullable: false })),
  'routes.ts': HEAD + routes(document),
};

if (!process.argv.includes('--check')) {
  for (const [file, text] of Object.entries(generated)) writeFileSync(join(sources, file), text);
} else {
  const stale = Object.entries(generated).filter(([file, text]) => {
    try {
      return readFileSync(join(sources, file), 'utf8') !== text;
    } catch {
      return true;
    }
  });
  for (const [file] of stale) {
    console.error(`clients/typescript/src/${file} is not what the OpenAPI document says; npm run client`);
  }
  if (stale.length > 0) process.exit(1);
  console.log('The client agrees with the OpenAPI document.');
}
