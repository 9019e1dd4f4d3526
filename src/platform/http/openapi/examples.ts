/** Examples of whole bodies, composed from the examples of their fields. */
import type { Components, Operation, Reference, Schema } from './declarations';

type Content = NonNullable<Extract<NonNullable<Operation['requestBody']>, { content: unknown }>['content']>;
type AnySchema = (Schema & { const?: unknown; contentSchema?: AnySchema }) | Reference;

/** A value that the schema allows, composed from its examples. */
export function exampleOf(schema: AnySchema, components: Components): unknown {
  if ('$ref' in schema) return exampleOf(resolve(schema, components), components);
  if (schema.example !== undefined) return schema.example;
  if (Array.isArray(schema.examples) && schema.examples.length > 0) return schema.examples[0];
  if (schema.const !== undefined) return schema.const;
  if (schema.default !== undefined) return schema.default;
  if (schema.enum) return schema.enum[0];
  const variant = (schema.oneOf ?? schema.anyOf)?.[0];
  if (variant) return exampleOf(variant, components);
  if (schema.allOf) return Object.assign({}, ...schema.allOf.map((part) => exampleOf(part, components)));
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === 'array') return schema.items ? [exampleOf(schema.items, components)] : [];
  if (type === 'object') {
    const properties = Object.entries(schema.properties ?? {});
    return Object.fromEntries(properties.map(([name, property]) => [name, exampleOf(property, components)]));
  }
  throw new Error(`a field of type ${type ?? 'unknown'} has no example: ${JSON.stringify(schema)}`);
}

/** Gives each media type an example, unless it has one of its own. */
export function addExamples(content: Content, components: Components): void {
  for (const [mediaType, media] of Object.entries(content)) {
    if (media.example !== undefined || media.examples || !media.schema) continue;
    const line = (media.schema as { contentSchema?: AnySchema }).contentSchema;
    media.example =
      line && mediaType === 'application/x-ndjson'
        ? `${JSON.stringify(exampleOf(line, components))}\n`
        : exampleOf(media.schema, components);
  }
}

/** The schema that a reference names. */
export function resolve(schema: Schema | Reference, components: Components): Schema {
  if (!('$ref' in schema)) return schema;
  const found = components.schemas?.[schema.$ref.replace('#/components/schemas/', '')];
  if (!found) throw new Error(`${schema.$ref} is nowhere: name its class in @ApiExtraModels`);
  return resolve(found, components);
}
