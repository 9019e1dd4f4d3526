import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import { ApiAcceptedResponse, ApiCreatedResponse, ApiOkResponse, ApiOperation, getSchemaPath } from '@nestjs/swagger';
import { ApiProblem, ApiSection } from '../../platform/http/openapi/declarations';
import { type Person, Public } from '../../platform/http/requests/caller';
import { WithStatus } from '../../platform/http/responses/results';
import { OptionalPerson } from '../access/optional-person';
import type { Client } from '../proofs/proof';
import { CurrentClient } from '../sessions/client';
import { RegisterDto } from '../sign-in/auth.requests';
import { SignedInView } from '../sign-in/auth.views';
import { EmailDto, VerifyEmailDto } from './registration.requests';
import { ConfirmedView, VerificationSentView } from './registration.views';
import { Registration } from './registration.service';

@ApiSection('Auth', 'Companies register, people sign in, and refresh tokens continue sessions.')
@Controller('auth')
export class RegistrationController {
  constructor(private readonly registration: Registration) {}

  @Post('register')
  @Public()
  @RouteConfig({ registers: true })
  @ApiOperation({
    operationId: 'register',
    summary: 'Register a company',
    description:
      'Creates a tenant and its owner, and signs the owner in. If registrations are verified, nothing is ' +
      'created yet: a mail is sent, and the response is 202 for every address.',
  })
  @ApiCreatedResponse({ type: SignedInView, description: 'Registered and signed in.' })
  @ApiAcceptedResponse({
    type: VerificationSentView,
    description: 'A mail is sent, whether or not the address is known.',
  })
  @ApiProblem('conflict', 'This e-mail address is already registered.')
  @ApiProblem('registration_closed', 'Registration is closed.')
  async register(@Body() body: RegisterDto, @CurrentClient() client: Client): Promise<object> {
    const registered = await this.registration.register(body, client);
    return 'status' in registered ? new WithStatus(202, registered) : registered;
  }

  @Post('verify-email')
  @Public()
  @HttpCode(200)
  @ApiOperation({
    operationId: 'verifyEmail',
    summary: 'Prove a mailbox',
    description:
      'The token of a pending registration creates the account with these data, and signs in. The token of an ' +
      "account verifies its address, together with a session of its person or the account's password.",
  })
  @ApiOkResponse({
    // Not `oneOf`: the first has all that the second has.
    schema: { anyOf: [{ $ref: getSchemaPath(SignedInView) }, { $ref: getSchemaPath(ConfirmedView) }] },
    description: 'Signed in to the new account, or `user` alone for an account that exists.',
  })
  @ApiProblem('token_invalid', 'The token is not valid (any more).')
  @ApiProblem('unauthorized', 'Sign in, or send the current password.')
  verify(
    @Body() body: VerifyEmailDto,
    @CurrentClient() client: Client,
    @OptionalPerson() person: Person | undefined,
  ): Promise<SignedInView | ConfirmedView> {
    return this.registration.verify(body, person, client);
  }

  @Post('verify-email/resend')
  @Public()
  @HttpCode(202)
  @ApiOperation({
    operationId: 'resendVerification',
    summary: 'Send the mail again',
    description: 'The response is the same for every address; an address gets at most 5 mails an hour and 20 a day.',
  })
  @ApiAcceptedResponse({ description: 'Accepted.' })
  async resend(@Body() body: EmailDto): Promise<void> {
    await this.registration.resend(body.email);
  }
}
