import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { ApiAcceptedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiSchema } from '@nestjs/swagger';
import { ApiProblem, ApiSection } from '../../platform/http/openapi/declarations';
import { CurrentPerson, ForPersons, type Person, Public, StepUp } from '../../platform/http/requests/caller';
import { SecretField } from '../../platform/http/requests/fields';
import { OptionalPerson } from '../access/optional-person';
import { EmailDto, TokenField } from '../registration/registration.requests';
import { ConfirmedView } from '../registration/registration.views';
import type { Client } from '../proofs/proof';
import { CurrentClient } from '../sessions/client';
import { EmailChangeService } from './email-change.service';
import { ChangePasswordDto, ResetPasswordDto } from './passwords.requests';
import { PasswordsService } from './passwords.service';

@ApiSchema({ description: 'The token of a mail, and the password unless the request has a session.' })
export class ConfirmEmailDto {
  @TokenField()
  token: string;

  @SecretField({ description: 'The password.', min: 1, max: 128, example: 'correct horse battery', optional: true })
  password?: string;
}

@ApiSchema({ description: 'The token of a mail.' })
export class TokenDto {
  @TokenField()
  token: string;
}

@ApiSection('Account', "One's own account: password, address, sessions, tenants.")
@Controller('auth')
export class AccountMailsController {
  constructor(
    private readonly passwords: PasswordsService,
    private readonly changes: EmailChangeService,
  ) {}

  @Post('password')
  @ForPersons()
  @StepUp()
  @HttpCode(204)
  @ApiOperation({
    operationId: 'changePassword',
    summary: 'Change the password',
    description: "Ends the person's other sessions.",
  })
  @ApiNoContentResponse({ description: 'Changed.' })
  async changePassword(
    @CurrentPerson() person: Person,
    @Body() body: ChangePasswordDto,
    @CurrentClient() client: Client,
  ): Promise<void> {
    await this.passwords.change(person, body, client);
  }

  @Post('password/forgot')
  @Public()
  @HttpCode(202)
  @ApiOperation({
    operationId: 'forgotPassword',
    summary: 'Request a reset of the password',
    description: 'The response is the same for every address; an address with an account gets a mail with a link.',
  })
  @ApiAcceptedResponse({ description: 'Accepted.' })
  async forgot(@Body() body: EmailDto): Promise<void> {
    await this.passwords.forgot(body.email);
  }

  @Post('password/reset')
  @Public()
  @HttpCode(204)
  @ApiOperation({
    operationId: 'resetPassword',
    summary: 'Reset the password',
    description: 'Ends all sessions. The next sign-in still requires a second factor.',
  })
  @ApiNoContentResponse({ description: 'Reset.' })
  @ApiProblem('token_invalid', 'The token is not valid (any more).')
  async reset(@Body() body: ResetPasswordDto, @CurrentClient() client: Client): Promise<void> {
    await this.passwords.reset(body, client);
  }

  @Post('email')
  @ForPersons()
  @StepUp()
  @HttpCode(202)
  @ApiOperation({
    operationId: 'changeEmail',
    summary: 'Change the e-mail address',
    description: 'A mail goes to the new address; its link confirms the change.',
  })
  @ApiAcceptedResponse({ description: 'Accepted.' })
  async changeEmail(
    @CurrentPerson() person: Person,
    @Body() body: EmailDto,
    @CurrentClient() client: Client,
  ): Promise<void> {
    await this.changes.request(person, body.email, client);
  }

  @Post('email/confirm')
  @Public()
  @HttpCode(200)
  @ApiOperation({
    operationId: 'confirmEmail',
    summary: 'Confirm a new e-mail address',
    description: 'With a session of the person, or the password.',
  })
  @ApiOkResponse({ type: ConfirmedView, description: 'The person with the new address.' })
  @ApiProblem('token_invalid', 'The token is not valid (any more).')
  @ApiProblem('unauthorized', 'Sign in, or send the current password.')
  confirmEmail(
    @Body() body: ConfirmEmailDto,
    @CurrentClient() client: Client,
    @OptionalPerson() person: Person | undefined,
  ): Promise<ConfirmedView> {
    return this.changes.confirm(body.token, person, body.password, client);
  }

  @Post('email/undo')
  @Public()
  @HttpCode(204)
  @ApiOperation({
    operationId: 'undoEmail',
    summary: 'Undo a change of the e-mail address',
    description:
      'By the link in the mail to the old address: restores it, invalidates the password, and ends all sessions.',
  })
  @ApiNoContentResponse({ description: 'Undone.' })
  @ApiProblem('token_invalid', 'The token is not valid (any more).')
  async undoEmail(@Body() body: TokenDto): Promise<void> {
    await this.changes.undo(body.token);
  }
}
