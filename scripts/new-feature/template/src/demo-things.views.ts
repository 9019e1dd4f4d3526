import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { CREATED_AT_DOC, pageOf, UPDATED_AT_DOC, VERSION_DOC } from '../platform/http/responses/view-docs';
import type { DemoThing } from './demo-thing.entity';

const EXAMPLE_ID = '0198c0de-7a11-7000-8000-000000000001';

@ApiSchema({ description: 'A demo thing.' })
export class DemoThingView {
  @ApiProperty({ format: 'uuid', description: 'Its id.', example: EXAMPLE_ID })
  id: string;

  @ApiProperty({ minLength: 1, maxLength: 200, description: 'A name for people.', example: 'Number one' })
  name: string;

  @ApiProperty({ type: 'string', nullable: true, maxLength: 500, description: 'Free text.', example: 'Urgent' })
  notes: string | null;

  @ApiProperty(VERSION_DOC)
  version: number;

  @ApiProperty(CREATED_AT_DOC)
  created_at: string;

  @ApiProperty(UPDATED_AT_DOC)
  updated_at: string;
}

/** The demo thing as the API shows it: in responses and events, to every caller alike. */
export function viewOf(demoThing: Omit<DemoThing, 'tenantId'>): DemoThingView {
  return {
    id: demoThing.id,
    name: demoThing.name,
    notes: demoThing.notes,
    version: demoThing.version,
    created_at: demoThing.createdAt.toISOString(),
    updated_at: demoThing.updatedAt.toISOString(),
  };
}

@ApiSchema({ description: 'A page of demo things, newest first.' })
export class DemoThingPage extends pageOf(DemoThingView, { maxItems: 100, description: 'The demo things.' }) {}
