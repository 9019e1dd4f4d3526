import { applyDecorators } from '@nestjs/common';
import { ApiSchema } from '@nestjs/swagger';
import type { FieldFault } from '../../platform/errors';
import { type CrossChecked, rule } from '../../platform/http/requests/field-declaration';
import { TextField, ValueField } from '../../platform/http/requests/fields';
import { isJsonObject, parseJsonBody } from '../../platform/http/requests/json-body';
import { toSourceText } from '../../platform/http/requests/source-text';
import { PageDto } from '../../platform/http/requests/page.dto';
import { MAX_TYPE_NAME, TYPE_NAME } from '../event-types/event-type-names';
import { jsonFaults } from '../json-schema/json-faults';
import { DATA } from './events.views';

const MAX_DATA_KIB = 256;

function TypeNameField(options: { description: string; example: string }): PropertyDecorator {
  return applyDecorators(
    TextField({ ...options, min: 1, max: MAX_TYPE_NAME, pattern: TYPE_NAME.source }),
    rule('event_type', (value) =>
      typeof value !== 'string' || TYPE_NAME.test(value) ? undefined : 'must be a dotted name such as invoice.paid',
    ),
  );
}

@ApiSchema({ description: 'An event of your own.' })
export class EmitEventDto implements CrossChecked {
  @TypeNameField({
    description:
      'Words of `a-z0-9_` with dots between them; not below `order.` or `webhook.`, which belong to the service.',
    example: 'invoice.paid',
  })
  type: string;

  @ValueField({
    description: `The content; at most ${MAX_DATA_KIB} KiB of JSON. Numbers keep their original characters in messages, and are checked as doubles. Checked against the schema of its type, if one is registered.`,
    example: DATA,
    code: 'is_object',
    check: (value) => (isJsonObject(value) ? undefined : 'must be an object'),
    api: { type: 'object', additionalProperties: true },
  })
  data: Record<string, unknown>;

  @TextField({
    description:
      'Your own id of the event. A second event with the same id is not emitted: the response is that of the ' +
      'first one.',
    min: 1,
    max: 255,
    optional: true,
    example: 'invoice-2041-paid',
  })
  event_id?: string;

  /** `data` as JSON, with its numbers in the characters in which they were sent. */
  dataText: string;

  /** For the comparison of two requests: numbers count by the characters in which they were sent. */
  canonicalForm(): unknown {
    const { type, event_id, dataText } = this;
    return { type, event_id, data: parseJsonBody(Buffer.from(dataText)) };
  }

  crossCheck(): FieldFault[] {
    if (isJsonObject(this.data)) this.dataText = toSourceText(this.data);
    return jsonFaults('data', this.data, MAX_DATA_KIB);
  }
}

export class ListEventsDto extends PageDto {
  @TextField({
    description: 'Only events of this type.',
    min: 1,
    max: MAX_TYPE_NAME,
    optional: true,
    example: 'order.created',
  })
  type?: string;
}
