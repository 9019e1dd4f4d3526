import { ApiSchema } from '@nestjs/swagger';
import { EmailField, TextField } from '../../platform/http/requests/fields';
import { ROLE_FIELD } from '../members/members.requests';

@ApiSchema({ description: 'An invitation into the tenant.' })
export class CreateInvitationDto {
  @EmailField({ description: 'The address that gets the mail with the link.', example: 'grace@example.com' })
  email: string;

  @TextField(ROLE_FIELD)
  role: string;
}
