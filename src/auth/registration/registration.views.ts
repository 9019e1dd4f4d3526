import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { UserView } from '../sign-in/auth.views';

@ApiSchema({ description: 'A registration that waits for its mailbox to be proved.' })
export class VerificationSentView {
  @ApiProperty({
    enum: ['verification_sent'],
    description: 'The same for every address.',
    example: 'verification_sent',
  })
  status: 'verification_sent';
}

@ApiSchema({ description: 'A person with a proved mailbox.' })
export class ConfirmedView {
  @ApiProperty({ type: UserView })
  user: UserView;
}
