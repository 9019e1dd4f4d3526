import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';

@ApiSchema({ description: 'What the person can step up with.' })
export class StepUpOptionsView {
  @ApiProperty({
    enum: ['password', 'code', 'passkey'],
    isArray: true,
    description: 'The proofs that the person can give.',
    example: ['code'],
  })
  methods: string[];

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: true,
    description: 'For `navigator.credentials.get`, where there is a passkey.',
  })
  passkey_options?: object;
}
