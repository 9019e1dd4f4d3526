import { Body, Controller, Delete, HttpCode, Post } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { ApiProblem, ApiSection } from '../../platform/http/openapi/declarations';
import {
  CurrentPerson,
  CurrentPrincipal,
  ForPersons,
  type Person,
  type Principal,
  Public,
  StepUp,
} from '../../platform/http/requests/caller';
import { NoBody } from '../../platform/http/requests/validation.pipe';
import { CurrentClient } from '../sessions/client';
import { SignedInView } from '../sign-in/auth.views';
import { Challenges } from './challenges';
import { AnswerChallengeDto, TotpCodeDto } from './second-factor.requests';
import { FactorAddedView, RecoveryCodesView, TotpOfferView } from './second-factor.views';
import type { FirstFactor } from '../second-factor/second-factors';
import { TotpService } from './totp.service';

type Client = FirstFactor['client'];

@ApiSection('Account', "One's own account: password, address, sessions, tenants.")
@Controller('auth')
export class SecondFactorController {
  constructor(
    private readonly totp: TotpService,
    private readonly challenges: Challenges,
  ) {}

  @Post('second-factor')
  @Public()
  @HttpCode(200)
  @ApiOperation({
    operationId: 'completeSignIn',
    summary: 'Sign in with the second factor',
    description: 'Answers the challenge of a sign-in. It is valid for 5 minutes, 5 attempts and one success.',
  })
  @ApiOkResponse({ type: SignedInView, description: 'Signed in.' })
  @ApiProblem('unauthorized', 'The second factor is wrong.')
  complete(@Body() body: AnswerChallengeDto, @CurrentClient() client: Client): Promise<SignedInView> {
    return this.challenges.complete(body, client);
  }

  @Post('totp')
  @ForPersons({ also: ['enrol'] })
  @StepUp()
  @ApiOperation({
    operationId: 'addTotp',
    summary: 'Add an authenticator app',
    description: 'It becomes active after the confirmation by one of its codes.',
  })
  @ApiCreatedResponse({ type: TotpOfferView, description: 'The setup data of the app.' })
  @ApiProblem('conflict', 'There is an authenticator app already: remove it first.')
  offer(@CurrentPerson() person: Person, @NoBody() _body: unknown): Promise<TotpOfferView> {
    return this.totp.offer(person);
  }

  @Post('totp/confirm')
  @ForPersons({ also: ['enrol'] })
  @HttpCode(200)
  @ApiOperation({
    operationId: 'confirmTotp',
    summary: 'Confirm the authenticator app',
    description: 'The first factor comes with ten recovery codes. The confirmation uses up its code.',
  })
  @ApiOkResponse({ type: FactorAddedView, description: 'The factor is active.' })
  @ApiProblem('not_found', 'There is nothing to confirm.')
  confirm(
    @CurrentPrincipal() principal: Principal,
    @Body() body: TotpCodeDto,
    @CurrentClient() client: Client,
  ): Promise<FactorAddedView> {
    return this.totp.confirm(principal, body.code, client);
  }

  @Delete('totp')
  @ForPersons()
  @StepUp()
  @HttpCode(204)
  @ApiOperation({
    operationId: 'removeTotp',
    summary: 'Remove the authenticator app',
    description: 'With the last factor, the recovery codes become invalid.',
  })
  @ApiNoContentResponse({ description: 'Removed.' })
  @ApiProblem('not_found', 'There is none.')
  @ApiProblem('business_rule_violation', 'A tenant of yours demands a second factor; this is the last one.')
  remove(@CurrentPerson() person: Person, @CurrentClient() client: Client): Promise<void> {
    return this.totp.remove(person, client);
  }

  @Post('recovery-codes')
  @ForPersons()
  @StepUp()
  @HttpCode(201)
  @ApiOperation({
    operationId: 'renewRecoveryCodes',
    summary: 'Make new recovery codes',
    description: 'The old ones become invalid.',
  })
  @ApiCreatedResponse({ type: RecoveryCodesView, description: 'The codes.' })
  @ApiProblem('business_rule_violation', 'Recovery codes come with a second factor: add one first.')
  async renew(
    @CurrentPerson() person: Person,
    @CurrentClient() client: Client,
    @NoBody() _body: unknown,
  ): Promise<RecoveryCodesView> {
    return { recovery_codes: await this.totp.renewCodes(person, client) };
  }
}
