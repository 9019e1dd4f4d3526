import { ApiSchema } from '@nestjs/swagger';
import type { FieldFault } from '../../platform/errors';
import type { CrossChecked } from '../../platform/http/requests/field-declaration';
import { TextField, ValueField } from '../../platform/http/requests/fields';
import { isJsonObject } from '../../platform/http/requests/json-body';
import { jsonFaults } from '../json-schema/json-faults';
import { dataFaults } from '../json-schema/evaluation';
import { schemaFaults } from '../json-schema/validator';
import { MAX_DESCRIPTION, EXAMPLE, SCHEMA, OBJECT } from './event-types.views';

const MAX_KIB = 16;
const isObject = (value: unknown) => (isJsonObject(value) ? undefined : 'must be an object');

@ApiSchema({ description: 'The form of events of your own type.' })
export class RegisterEventTypeDto implements CrossChecked {
  @TextField({
    description: 'When it is emitted.',
    max: MAX_DESCRIPTION,
    multiline: true,
    nullable: true,
    example: 'An invoice was paid in full.',
  })
  description?: string | null;

  @ValueField({
    description:
      `JSON Schema (2020-12) of \`data\`, at most ${MAX_KIB} KiB. Every keyword of the draft but \`pattern\`, ` +
      '`patternProperties`, `unevaluated…`, `contentSchema`, `$id`, `$anchor` and `$dynamic…`; `$ref` to `#` and ' +
      '`#/$defs/…`; the formats `date`, `time`, `date-time`, `email`, `hostname`, `ipv4`, `ipv6`, `uri` and `uuid`, which ' +
      'are checked. An unknown keyword is refused, unless it begins with `x-`.',
    example: SCHEMA,
    code: 'is_object',
    check: isObject,
    api: OBJECT,
  })
  schema: Record<string, unknown>;

  @ValueField({
    description: `\`data\` that satisfies the schema, at most ${MAX_KIB} KiB.`,
    example: EXAMPLE,
    nullable: true,
    code: 'is_object',
    check: isObject,
    api: OBJECT,
  })
  example?: Record<string, unknown> | null;

  /** Makes numbers plain, checks sizes, the schema, and that the example fits it. */
  crossCheck(): FieldFault[] {
    const unread = [...jsonFaults('schema', this.schema, MAX_KIB), ...jsonFaults('example', this.example, MAX_KIB)];
    if (unread.length > 0 || !isJsonObject(this.schema)) return unread;
    const faults = schemaFaults(this.schema);
    if (faults.length > 0 || !isJsonObject(this.example)) return faults;
    return dataFaults(this.schema, this.example, 'example');
  }
}
