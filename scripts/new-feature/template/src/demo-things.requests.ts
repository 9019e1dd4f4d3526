import { ApiSchema } from '@nestjs/swagger';
import { NameField, TextField } from '../platform/http/requests/fields';
import { PageDto } from '../platform/http/requests/page.dto';

const NAME = { description: 'A name for people.', max: 200, example: 'Number one' } as const;
const NOTES = {
  description: 'Free text.',
  min: 0,
  max: 500,
  multiline: true,
  nullable: true,
  example: 'Urgent',
} as const;

@ApiSchema({ description: 'A new demo thing.' })
export class CreateDemoThingDto {
  @NameField(NAME)
  name: string;

  @TextField(NOTES)
  notes?: string | null;
}

@ApiSchema({ description: 'The changed fields of a demo thing.' })
export class UpdateDemoThingDto {
  @NameField({ ...NAME, optional: true })
  name?: string;

  @TextField({ ...NOTES, description: 'New notes; null removes them.' })
  notes?: string | null;
}

/** The filters of the list stand here, beside its page. */
export class ListDemoThingsDto extends PageDto {}
