import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';

@ApiSchema({ description: 'The accepted confirmations of the person.' })
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
    description: 'For `navigator.credentials.get`, if there is a passkey.',
  })
  passkey_options?: object;
}
