import { ApiSchema } from '@nestjs/swagger';
import { NameField, SecretField, TextField } from '../../platform/http/requests/fields';

const TOKEN = 'inv_0198c0de7a1170008000000000000002_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA';
const InvitationTokenField = () =>
  TextField({ description: 'The token of the link in the mail.', min: 1, max: 200, example: TOKEN });

@ApiSchema({ description: 'The token of an invitation.' })
export class PreviewInvitationDto {
  @InvitationTokenField()
  token: string;
}

@ApiSchema({ description: 'The token of an invitation, and the data that create or prove the account.' })
export class AcceptInvitationDto {
  @InvitationTokenField()
  token: string;

  @SecretField({
    description:
      'For a person without an account a new password of 8 to 128 characters; for an account its password, ' +
      'unless the request has a session.',
    min: 1,
    max: 128,
    example: 'correct horse battery',
    optional: true,
  })
  password?: string;

  @NameField({ description: "The person's name, for a new account.", max: 200, example: 'Grace', nullable: true })
  name?: string | null;
}
