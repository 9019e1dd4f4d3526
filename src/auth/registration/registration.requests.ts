import { ApiSchema } from '@nestjs/swagger';
import { EmailField, NameField, SecretField, TextField } from '../../platform/http/requests/fields';

const TOKEN = 'ott_0198c0de7a1170008000000000000001_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA';

/** The field of a token that a mail carried. */
export const TokenField = () =>
  TextField({ description: 'The token of the link in the mail.', min: 1, max: 200, example: TOKEN });

@ApiSchema({ description: 'The token of a mail, and the data that create or confirm the account.' })
export class VerifyEmailDto {
  @TokenField()
  token: string;

  @SecretField({
    description: 'The new password of a pending registration, or the current one of an account.',
    min: 1,
    max: 128,
    example: 'correct horse battery',
    optional: true,
  })
  password?: string;

  @NameField({ description: "The person's name, of a pending registration.", max: 200, example: 'Ada', nullable: true })
  name?: string | null;

  @NameField({
    description: "The company's name, of a pending registration.",
    max: 200,
    example: 'Analytical Engines Ltd',
    optional: true,
  })
  tenant_name?: string;
}

@ApiSchema({ description: 'An e-mail address.' })
export class EmailDto {
  @EmailField({ description: 'The address.', example: 'ada@example.com' })
  email: string;
}
