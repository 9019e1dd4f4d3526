import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import { ApiAcceptedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { ApiProblem, ApiSection } from '../../platform/http/openapi/declarations';
import {
  CurrentPerson,
  CurrentPrincipal,
  ForPersons,
  type Person,
  type Principal,
  StepUp,
} from '../../platform/http/requests/caller';
import { PageDto } from '../../platform/http/requests/page.dto';
import { ResourceId } from '../../platform/http/requests/resource-id.pipe';
import { NoBody } from '../../platform/http/requests/validation.pipe';
import type { JsonPage } from '../../platform/http/responses/results';
import type { Client } from '../proofs/proof';
import { CurrentClient } from '../sessions/client';
import { MeView, SignedInView } from '../sign-in/auth.views';
import { UpdateMeDto } from './account.requests';
import { PersonSessionPage } from './account.views';
import { AccountService } from './account.service';
import { PersonSessions } from './person-sessions';

const SessionId = () => Param('id', new ResourceId('Session'));

@ApiSection('Account', "One's own account: password, address, sessions, tenants.")
@Controller('auth')
export class AccountController {
  constructor(
    private readonly account: AccountService,
    private readonly sessions: PersonSessions,
  ) {}

  @Patch('me')
  @ForPersons()
  @ApiOperation({ operationId: 'updateMe', summary: 'Change the own account', description: 'The name.' })
  @ApiOkResponse({ type: MeView, description: 'The caller.' })
  @ApiProblem('second_factor_enrolment_required', 'The tenant demands a second factor: add one first.')
  update(
    @CurrentPrincipal() principal: Principal,
    @CurrentPerson() person: Person,
    @Body() body: UpdateMeDto,
  ): Promise<MeView> {
    return this.account.update(principal, person, body);
  }

  @Delete('me')
  @ForPersons()
  @StepUp()
  @HttpCode(202)
  @ApiOperation({
    operationId: 'deleteMe',
    summary: 'Delete the own account',
    description:
      'Leaves every tenant immediately; the account is erased after 30 days, and can be restored until then.',
  })
  @ApiAcceptedResponse({ description: 'All sessions have ended.' })
  @ApiProblem('business_rule_violation', 'A tenant always has an active owner; this is the last one.')
  async delete(@CurrentPerson() person: Person): Promise<void> {
    await this.account.delete(person);
  }

  @Post('me/restore')
  @ForPersons({ only: ['restore'] })
  @HttpCode(200)
  @ApiOperation({
    operationId: 'restoreMe',
    summary: 'Restore the own account',
    description: 'Cancels the deletion. The memberships have ended.',
  })
  @ApiOkResponse({ type: SignedInView, description: 'Signed in, without a tenant.' })
  restore(
    @CurrentPerson() person: Person,
    @CurrentClient() client: Client,
    @NoBody() _body: unknown,
  ): Promise<SignedInView> {
    return this.account.restore(person, client);
  }

  @Get('me/export')
  @ForPersons()
  @StepUp()
  @ApiOperation({
    operationId: 'exportMe',
    summary: 'Export the own data',
    description: 'All data that are stored about the person.',
  })
  @ApiOkResponse({ schema: { type: 'object', additionalProperties: true }, description: 'The data, as JSON.' })
  export(@CurrentPerson() person: Person): Promise<object> {
    return this.account.export(person);
  }

  @Get('sessions')
  @ForPersons()
  @ApiOperation({
    operationId: 'listSessions',
    summary: "List one's sessions",
    description: 'Over all tenants of the person, the newest first.',
  })
  @ApiOkResponse({ type: PersonSessionPage, description: 'A page.' })
  list(@CurrentPerson() person: Person, @Query() query: PageDto): Promise<JsonPage> {
    return this.sessions.list(person, query);
  }

  @Delete('sessions/:id')
  @ForPersons()
  @HttpCode(204)
  @ApiOperation({
    operationId: 'endSession',
    summary: 'End a session',
    description: 'And those that descend from the same sign-in, within 2 seconds.',
  })
  @ApiNoContentResponse({ description: 'Ended.' })
  async end(@CurrentPerson() person: Person, @SessionId() id: string): Promise<void> {
    await this.sessions.end(person, id);
  }

  @Delete('sessions')
  @ForPersons()
  @HttpCode(204)
  @ApiOperation({
    operationId: 'endOtherSessions',
    summary: 'End all other sessions',
    description: 'All but the current one, within 2 seconds.',
  })
  @ApiNoContentResponse({ description: 'Ended.' })
  async endOthers(@CurrentPerson() person: Person): Promise<void> {
    await this.sessions.endOthers(person);
  }
}
