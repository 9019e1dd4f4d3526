/**
 * Messages as receivers get them: their JSON Schema (2020-12) and an example, derived from the classes that describe
 * the same resources in the API, so that the two cannot differ.
 */
import { generateSchema } from '@nestjs/swagger';
import { exampleOf } from '../../platform/http/openapi/examples';
import type { EventType } from '../../platform/outbox/event-catalogue';

const MESSAGE_ID = '0198c0de-7a11-7000-8000-000000000041';
const MESSAGE_TIME = '2026-01-31T12:00:00.000Z';

type Schema = Record<string, unknown>;

/** An example body of a message of this type. */
export function exampleMessage(type: EventType): Record<string, unknown> {
  const { schema, schemas } = generateSchema(type.data);
  const data = exampleOf(schema, { schemas }) as Record<string, unknown>;
  return { id: MESSAGE_ID, type: type.name, timestamp: MESSAGE_TIME, data: { ...data, ...type.example } };
}

/** The schema of a message's body, complete in itself. */
export function messageSchema(type: EventType): Schema {
  const { schema, schemas } = generateSchema(type.data);
  const { [type.data.name]: _, ...parts } = schemas;
  const definitions = Object.entries(parts).map(([name, part]) => [publicName(name), toJsonSchema(part)]);
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: type.name,
    description: type.description,
    ...messageOf(type.name, toJsonSchema(schema) as Schema),
    ...(definitions.length > 0 ? { $defs: Object.fromEntries(definitions) as Schema } : {}),
  };
}

/** The envelope that every message has, around its `data`. */
export function messageOf(type: string, data: Schema): Schema {
  return {
    type: 'object',
    required: ['id', 'type', 'timestamp', 'data'],
    properties: {
      id: { type: 'string', format: 'uuid', description: "The event's id, the same for every endpoint." },
      type: { type: 'string', const: type, description: 'The type of the event.' },
      timestamp: { type: 'string', format: 'date-time', description: 'When it happened.' },
      data,
    },
  };
}

/** The public name drops the ending of `OrderItemView`. */
function publicName(name: string): string {
  return name.replace(/View$/, '');
}

/** Translates the terms of OpenAPI 3.0 to JSON Schema's. */
function toJsonSchema(value: unknown, isSchema = true): unknown {
  if (Array.isArray(value)) return value.map((entry) => toJsonSchema(entry));
  if (typeof value !== 'object' || value === null) return value;
  if (!isSchema) return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, toJsonSchema(entry)]));
  const { nullable, example, ...rest } = value as Schema;
  const entries = Object.entries(rest).map(([keyword, entry]): [string, unknown] => {
    if (keyword === '$ref') return [keyword, publicName(String(entry).replace('#/components/schemas/', '#/$defs/'))];
    if (keyword === 'enum' || keyword === 'required' || keyword === 'default') return [keyword, entry];
    return [keyword, toJsonSchema(entry, keyword !== 'properties')];
  });
  const schema: Schema = Object.fromEntries(entries);
  if (nullable && schema.type !== undefined) schema.type = [schema.type, 'null'].flat();
  if (nullable && Array.isArray(schema.enum)) schema.enum = [...new Set([...(schema.enum as unknown[]), null])];
  if (example !== undefined) schema.examples = [example];
  return schema;
}
