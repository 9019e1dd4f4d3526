import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { ApiProblem, ApiSection } from '../../platform/http/openapi/declarations';
import { CurrentPrincipal, ForPersons, type Principal } from '../../platform/http/requests/caller';
import { NoBody } from '../../platform/http/requests/validation.pipe';
import type { Client } from '../proofs/proof';
import { CurrentClient } from '../sessions/client';
import { TokensView } from '../sign-in/auth.views';
import { StepUpDto } from './step-up.requests';
import { StepUpOptionsView } from './step-up.views';
import { StepUpService } from './step-up.service';

@ApiSection('Account', "One's own account: password, address, sessions, tenants.")
@Controller('auth/step-up')
export class StepUpController {
  constructor(private readonly service: StepUpService) {}

  @Post()
  @ForPersons({ also: ['enrol', 'step-up'], singleSignOn: true })
  @HttpCode(200)
  @ApiOperation({
    operationId: 'stepUp',
    summary: 'Confirm the sign-in',
    description: 'A new session replaces the old one, whose tokens stop working within 2 seconds.',
  })
  @ApiOkResponse({ type: TokensView, description: 'The pair of the new session.' })
  @ApiProblem('unauthorized', 'The proof is wrong.')
  stepUp(
    @CurrentPrincipal() principal: Principal,
    @Body() body: StepUpDto,
    @CurrentClient() client: Client,
  ): Promise<TokensView> {
    return this.service.stepUp(principal, body, client);
  }

  @Post('options')
  @ForPersons({ also: ['enrol', 'step-up'], singleSignOn: true })
  @HttpCode(200)
  @ApiOperation({
    operationId: 'getStepUpOptions',
    summary: 'List the accepted confirmations',
    description: 'The proofs that the person can give.',
  })
  @ApiOkResponse({ type: StepUpOptionsView, description: 'The proofs.' })
  options(@CurrentPrincipal() principal: Principal, @NoBody() _body: unknown): Promise<StepUpOptionsView> {
    return this.service.options(principal);
  }
}
