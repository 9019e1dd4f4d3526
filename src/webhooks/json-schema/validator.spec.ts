import { schemaFaults, type SchemaObject } from './validator';

const faultsOf = (schema: unknown) =>
  schemaFaults(schema as SchemaObject).map(({ field, code }) => `${field}: ${code}`);

describe('a schema that may be registered', () => {
  it.each<[string, SchemaObject]>([
    ['nothing', {}],
    ['the draft by its name', { $schema: 'https://json-schema.org/draft/2020-12/schema' }],
    ['annotations, and extensions of its own', { title: 't', description: 'd', examples: [], default: {}, 'x-team': { a: 1 } }],
    ['names that are keywords elsewhere', { properties: { pattern: true, $ref: { type: 'string' }, properties: {} }, required: ['pattern'] }],
    ['what looks like a keyword in a value', { const: { pattern: '(' }, enum: [{ $ref: 'x' }], default: { $id: 1 } }],
    ['a tree', { $ref: '#/$defs/node', $defs: { node: { properties: { children: { items: { $ref: '#/$defs/node' } } } } } }],
    ['the whole in a part', { properties: { parent: { anyOf: [{ $ref: '#' }, { type: 'null' }] } } }],
    ['names that are written in another way', { $ref: '#/$defs/a~1b~0%25', $defs: { 'a/b~%': true } }],
  ])('has %s', (_, schema) => {
    expect(faultsOf(schema)).toEqual([]);
  }); // prettier-ignore
});

describe('a schema that is refused', () => {
  const layers = (count: number): SchemaObject => (count === 0 ? {} : { allOf: [layers(count - 1)] });

  it.each<[string, unknown, string[]]>([
    ['a keyword that is written wrong', { requried: ['a'] }, ['schema.requried: unknown_keyword']],
    ['keywords of older drafts', { definitions: {}, dependencies: {}, items: [{}] }, ['schema.definitions: unknown_keyword', 'schema.dependencies: unknown_keyword', 'schema.items: schema']],
    ['an older draft', { $schema: 'http://json-schema.org/draft-07/schema#' }, ['schema.$schema: keyword_value']],
    ['regular expressions', { pattern: '^(a+)+$', patternProperties: { '^(a|a)*$': {} } }, ['schema.pattern: refused_keyword', 'schema.patternProperties: refused_keyword']],
    ['regular expressions below', { properties: { a: { items: { pattern: 'x' } } } }, ['schema.properties.a.items.pattern: refused_keyword']],
    ['addresses', { $id: 'https://a', $anchor: 'b', $dynamicRef: '#c' }, ['schema.$id: refused_keyword', 'schema.$anchor: refused_keyword', 'schema.$dynamicRef: refused_keyword']],
    ['a reference to elsewhere', { $ref: 'https://example.com/schema' }, ['schema.$ref: keyword_value']],
    ['a reference to a file', { $ref: 'file:///etc/passwd' }, ['schema.$ref: keyword_value']],
    ['a reference past its definitions', { $ref: '#/properties/a', properties: { a: {} } }, ['schema.$ref: keyword_value']],
    ['a reference to nothing', { $ref: '#/$defs/a' }, ['schema.$ref: reference']],
    ['a reference to what every object has', { $ref: '#/$defs/toString', $defs: {} }, ['schema.$ref: reference']],
    ['a reference that is no text', { $ref: 1, items: { $ref: '#/$defs/%' } }, ['schema.$ref: keyword_value', 'schema.items.$ref: reference']],
    ['definitions below', { properties: { a: { $defs: {} } } }, ['schema.properties.a.$defs: refused_keyword']],
    ['types there are not', { type: 'float', items: { type: [] }, contains: { type: ['string', 'string'] } }, ['schema.type: keyword_value', 'schema.items.type: keyword_value', 'schema.contains.type: keyword_value']],
    ['a format that is not checked', { format: 'regex' }, ['schema.format: keyword_value']],
    ['counts that are none', { minLength: -1, maxItems: 1.5, minProperties: '1' }, ['schema.minLength: keyword_value', 'schema.maxItems: keyword_value', 'schema.minProperties: keyword_value']],
    ['limits that are none', { minimum: '0', multipleOf: 0 }, ['schema.minimum: keyword_value', 'schema.multipleOf: keyword_value']],
    ['lists that are none', { required: 'a', enum: [], allOf: [], anyOf: {}, dependentRequired: { a: 'b' } }, ['schema.required: keyword_value', 'schema.enum: keyword_value', 'schema.allOf: keyword_value', 'schema.anyOf: keyword_value', 'schema.dependentRequired: keyword_value']],
    ['parts that are no schemas', { properties: { a: null, b: 'x' }, not: [], prefixItems: [1] }, ['schema.properties.a: schema', 'schema.properties.b: schema', 'schema.not: schema', 'schema.prefixItems.0: schema']],
    ['itself', { $ref: '#' }, ['schema: endless']],
    ['itself in a circle', { properties: { a: { $ref: '#/$defs/a' } }, $defs: { a: { anyOf: [{ $ref: '#/$defs/b' }] }, b: { not: { $ref: '#/$defs/a' } } } }, ['schema.properties.a: endless']],
    ['itself, where a field is there', { dependentSchemas: { a: { $ref: '#' } } }, ['schema: endless']],
    ['more layers than twelve', layers(12), ['schema: max_layers']],
    ['more schemas than a thousand', { anyOf: Array(1000).fill({}) }, ['schema: max_subschemas']],
  ])('has %s', (_, schema, faults) => {
    expect(faultsOf(schema)).toEqual(faults);
  }); // prettier-ignore

  it('reports a hundred faults at most', () => {
    expect(faultsOf({ anyOf: Array(900).fill({ pattern: 'x' }) })).toHaveLength(100);
  });

  it('names the alternatives to a regular expression', () => {
    expect(schemaFaults({ pattern: 'x' })[0]?.message).toMatch(/^is not taken: .*regular expressions.*maxLength$/);
  });
});
