import { ApiProperty, ApiSchema } from '@nestjs/swagger';

const TIME = '2026-01-31T12:00:00.000Z';

@ApiSchema({ description: 'An export of all data of the tenant.' })
export class TenantExportView {
  @ApiProperty({ format: 'uuid', description: "The export's id.", example: '0198c0de-7a11-7000-8000-000000000071' })
  id: string;

  @ApiProperty({
    enum: ['ready'],
    description: 'The archive can be read immediately: it is created while it is read.',
    example: 'ready',
  })
  status: 'ready';

  @ApiProperty({
    format: 'uuid',
    description: 'The owner that requested it.',
    example: '0198c0de-7a11-7000-8000-0000000000aa',
  })
  created_by: string;

  @ApiProperty({ format: 'date-time', description: 'When it was requested.', example: TIME })
  created_at: string;

  @ApiProperty({ format: 'date-time', description: 'The end of the availability of its archive.', example: TIME })
  expires_at: string;

  @ApiProperty({ type: 'integer', minimum: 1, description: 'The `ETag` is derived from it.', example: 1 })
  version: number;
}
