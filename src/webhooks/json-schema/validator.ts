/**
 * The JSON Schemas (draft 2020-12) that a tenant may register. They are hostile input: no code is generated from them,
 * everything in them is bounded, and a schema that cannot be checked at a bounded cost is refused. Unknown keywords are
 * refused too: a misspelt `requried` would check nothing without notice.
 */
import type { FieldFault } from '../../platform/errors';
import { fieldAt, isJsonObject } from '../../platform/http/requests/json-body';
import { FORMATS } from './formats';

/** A schema, or a part of one, that {@link schemaFaults} has found nothing wrong with. */
export type Schema = boolean | SchemaObject;
export type SchemaObject = Readonly<Record<string, unknown>>;

const DIALECT = 'https://json-schema.org/draft/2020-12/schema';
const TYPES = ['null', 'boolean', 'integer', 'number', 'string', 'array', 'object'];
const REFERENCE = /^#(?:\/\$defs\/([^/]+))?$/;
const MAX_SUBSCHEMAS = 1_000;
/** Maximum nesting of schemas on one value: the evaluation recurses as often. */
const MAX_LAYERS = 12;
const MAX_FAULTS = 100;

/** The kind of a keyword's value: a plain value, or schemas, which may apply to the same value as the keyword. */
type Keyword =
  | { holds: 'value'; fault: (value: unknown) => string | undefined }
  | { holds: 'schema' | 'list' | 'map'; layer: boolean };

const value = (fault: (value: unknown) => string | undefined): Keyword => ({ holds: 'value', fault });
const when = (right: boolean, otherwise: string) => (right ? undefined : otherwise);
const isNames = (names: unknown) =>
  Array.isArray(names) && names.every((name) => typeof name === 'string') && new Set(names).size === names.length;

const ANNOTATION = value(() => undefined);
const COUNT = value((n) => when(Number.isInteger(n) && (n as number) >= 0, 'must be a whole number from 0'));
const LIMIT = value((n) => when(typeof n === 'number', 'must be a number'));
const SCHEMA_BELOW: Keyword = { holds: 'schema', layer: false };
const SCHEMA_ON_TOP: Keyword = { holds: 'schema', layer: true };
const LIST_ON_TOP: Keyword = { holds: 'list', layer: true };

const KEYWORDS: ReadonlyMap<string, Keyword> = new Map<string, Keyword>([
  ['$defs', { holds: 'map', layer: false }],
  ['$ref', value((ref) => when(typeof ref === 'string' && REFERENCE.test(ref), 'must be # or #/$defs/<name>'))],
  ['$schema', value((dialect) => when(dialect === DIALECT || dialect === `${DIALECT}#`, `must be ${DIALECT}`))],
  ['additionalProperties', SCHEMA_BELOW],
  ['allOf', LIST_ON_TOP],
  ['anyOf', LIST_ON_TOP],
  ['const', ANNOTATION],
  ['contains', SCHEMA_BELOW],
  [
    'dependentRequired',
    value((map) => when(isJsonObject(map) && Object.values(map).every(isNames), 'must be an object of lists of names')),
  ],
  ['dependentSchemas', { holds: 'map', layer: true }],
  ['else', SCHEMA_ON_TOP],
  ['enum', value((list) => when(Array.isArray(list) && list.length > 0, 'must be a list of at least one value'))],
  ['exclusiveMaximum', LIMIT],
  ['exclusiveMinimum', LIMIT],
  ['format', value((name) => when(FORMATS.has(name as string), `must be one of ${[...FORMATS.keys()].join(', ')}`))],
  ['if', SCHEMA_ON_TOP],
  ['items', SCHEMA_BELOW],
  ['maxContains', COUNT],
  ['maxItems', COUNT],
  ['maxLength', COUNT],
  ['maxProperties', COUNT],
  ['maximum', LIMIT],
  ['minContains', COUNT],
  ['minItems', COUNT],
  ['minLength', COUNT],
  ['minProperties', COUNT],
  ['minimum', LIMIT],
  ['multipleOf', value((n) => when(typeof n === 'number' && n > 0, 'must be a number above 0'))],
  ['not', SCHEMA_ON_TOP],
  ['oneOf', LIST_ON_TOP],
  ['prefixItems', { holds: 'list', layer: false }],
  ['properties', { holds: 'map', layer: false }],
  ['propertyNames', SCHEMA_BELOW],
  ['required', value((names) => when(isNames(names), 'must be a list of names, each once'))],
  ['then', SCHEMA_ON_TOP],
  ['type', value((type) => when(isTypes(type), `must be one of ${TYPES.join(', ')}, or a list of them`))],
  ['uniqueItems', value((unique) => when(typeof unique === 'boolean', 'must be true or false'))],
  ...[
    '$comment',
    'contentEncoding',
    'contentMediaType',
    'default',
    'deprecated',
    'description',
    'examples',
    'readOnly',
    'title',
    'writeOnly',
  ].map((name): [string, Keyword] => [name, ANNOTATION]),
]);

const REGULAR_EXPRESSION =
  'is not taken: some regular expressions take for ever on some texts; there are format, enum, minLength and maxLength';
const OWN_ADDRESS = 'is not taken: a schema refers to its own $defs alone';
/** Keywords of the draft that are refused, and why. */
const REFUSED: ReadonlyMap<string, string> = new Map([
  ['pattern', REGULAR_EXPRESSION],
  ['patternProperties', REGULAR_EXPRESSION],
  ['unevaluatedItems', 'is not taken; there is items'],
  ['unevaluatedProperties', 'is not taken; there is additionalProperties'],
  ['contentSchema', 'is not taken: what is inside a text is not checked'],
  ['$vocabulary', 'is not taken: the vocabulary is fixed'],
  ...['$id', '$anchor', '$dynamicAnchor', '$dynamicRef'].map((name): [string, string] => [name, OWN_ADDRESS]),
]);

/** The faults of a schema, as faults of the field `schema`; a schema that can be registered has none. */
export function schemaFaults(schema: SchemaObject): FieldFault[] {
  const reading = new SchemaReader(schema);
  reading.read(schema, ['schema']);
  if (reading.faults.length === 0) reading.measureLayers();
  return reading.faults;
}

/** The schema that a `$ref` names, or undefined. */
export function resolveReference(root: SchemaObject, reference: string): Schema | undefined {
  const match = REFERENCE.exec(reference);
  if (!match?.[1]) return match ? root : undefined;
  const name = decodePointer(match[1]);
  const definitions = root.$defs;
  if (name === undefined || !isJsonObject(definitions) || !Object.hasOwn(definitions, name)) return undefined;
  return definitions[name] as Schema;
}

class SchemaReader {
  readonly faults: FieldFault[] = [];
  private subschemas = 0;
  /** For each schema its place, and the schemas that apply to the same value. */
  private readonly places = new Map<SchemaObject, { field: string; layers: SchemaObject[] }>();

  constructor(private readonly root: SchemaObject) {}

  read(schema: unknown, path: (string | number)[]): void {
    if (typeof schema === 'boolean' || this.faults.length >= MAX_FAULTS) return;
    if (!isJsonObject(schema)) return this.report(path, 'schema', 'must be a schema: an object, true or false');
    if (++this.subschemas > MAX_SUBSCHEMAS) {
      if (this.subschemas === MAX_SUBSCHEMAS + 1)
        this.report(['schema'], 'max_subschemas', `must hold at most ${MAX_SUBSCHEMAS} schemas`);
      return;
    }
    const layers: SchemaObject[] = [];
    this.places.set(schema, { field: fieldAt(path), layers });
    for (const name of Object.keys(schema)) {
      path.push(name);
      this.readKeyword(name, schema[name], path, layers);
      path.pop();
    }
  }

  /** Refuses schemas that recurse without end on one value, and schemas that nest too deep. */
  measureLayers(): void {
    const depths = new Map<SchemaObject, number>();
    const measure = (schema: SchemaObject): number => {
      const known = depths.get(schema);
      if (known !== undefined) return known;
      // A second visit before the measure is known means a cycle.
      depths.set(schema, Infinity);
      const depth = 1 + Math.max(0, ...(this.places.get(schema)?.layers ?? []).map(measure));
      depths.set(schema, depth);
      return depth;
    };
    for (const [schema, { field }] of this.places) {
      const depth = measure(schema);
      if (depth <= MAX_LAYERS) continue;
      const [code, message] =
        depth === Infinity
          ? ['endless', 'comes back to itself on the same value, and would never end']
          : ['max_layers', `lays more than ${MAX_LAYERS} schemas on top of each other on one value`];
      this.faults.push({ field, code, message });
      return;
    }
  }

  private readKeyword(name: string, value: unknown, path: (string | number)[], layers: SchemaObject[]): void {
    const keyword = KEYWORDS.get(name);
    if (!keyword) {
      if (name.startsWith('x-')) return;
      const why = REFUSED.get(name);
      this.report(path, why ? 'refused_keyword' : 'unknown_keyword', why ?? 'is no keyword of JSON Schema 2020-12');
    } else if ((name === '$defs' || name === '$schema') && path.length > 2) {
      this.report(path, 'refused_keyword', 'is taken at the top of the schema only');
    } else if (keyword.holds === 'value') {
      const fault = keyword.fault(value);
      if (fault !== undefined) this.report(path, 'keyword_value', fault);
      else if (name === '$ref') this.readReference(value as string, path, layers);
    } else if (keyword.holds === 'schema') {
      this.readPart(value, path, keyword.layer ? layers : []);
    } else if (keyword.holds === 'list' ? !Array.isArray(value) || value.length === 0 : !isJsonObject(value)) {
      this.report(path, 'keyword_value', `must be ${keyword.holds === 'list' ? 'a list' : 'an object'} of schemas`);
    } else {
      for (const [key, part] of Object.entries(value as Record<string, unknown>)) {
        path.push(key);
        this.readPart(part, path, keyword.layer ? layers : []);
        path.pop();
      }
    }
  }

  private readPart(part: unknown, path: (string | number)[], layers: SchemaObject[]): void {
    this.read(part, path);
    if (isJsonObject(part)) layers.push(part);
  }

  private readReference(reference: string, path: (string | number)[], layers: SchemaObject[]): void {
    const target = resolveReference(this.root, reference);
    if (target === undefined) this.report(path, 'reference', 'names no schema in $defs');
    else if (isJsonObject(target)) layers.push(target);
  }

  private report(path: readonly (string | number)[], code: string, message: string): void {
    if (this.faults.length < MAX_FAULTS) this.faults.push({ field: fieldAt(path), message, code });
  }
}

function isTypes(type: unknown): boolean {
  if (typeof type === 'string') return TYPES.includes(type);
  return isNames(type) && (type as string[]).length > 0 && (type as string[]).every((name) => TYPES.includes(name));
}

/** A step of a JSON pointer in a URI's fragment (RFC 6901), or undefined. */
function decodePointer(step: string): string | undefined {
  try {
    return decodeURIComponent(step).replace(/~1/g, '/').replace(/~0/g, '~');
  } catch {
    return undefined;
  }
}
