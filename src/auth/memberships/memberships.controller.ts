import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { ApiProblem, ApiSection } from '../../platform/http/openapi/declarations';
import { CurrentPerson, ForPersons, type Person } from '../../platform/http/requests/caller';
import { PageDto } from '../../platform/http/requests/page.dto';
import { ResourceId } from '../../platform/http/requests/resource-id.pipe';
import { NoBody } from '../../platform/http/requests/validation.pipe';
import type { JsonPage } from '../../platform/http/responses/results';
import { Idempotent, type IdempotentRequest } from '../../platform/http/responses/idempotency';
import type { WriteResult } from '../../platform/http/responses/results';
import type { Client } from '../proofs/proof';
import { CurrentClient } from '../sessions/client';
import { SignedInView } from '../sign-in/auth.views';
import { CreateTenantDto, SwitchTenantDto } from './memberships.requests';
import { MembershipPage } from './memberships.views';
import { MembershipsService } from './memberships.service';
import { TenantCreation } from './tenant-creation';

const TenantId = () => Param('id', new ResourceId('Tenant'));

@ApiSection('Account', "One's own account: password, address, sessions, tenants.")
@Controller()
export class MembershipsController {
  constructor(
    private readonly memberships: MembershipsService,
    private readonly creation: TenantCreation,
  ) {}

  @Get('auth/tenants')
  @ForPersons({ also: ['enrol', 'step-up'] })
  @ApiOperation({ operationId: 'listOwnTenants', summary: "List one's tenants", description: 'The newest first.' })
  @ApiOkResponse({ type: MembershipPage, description: 'A page.' })
  list(@CurrentPerson() person: Person, @Query() query: PageDto): Promise<JsonPage> {
    return this.memberships.list(person, query);
  }

  @Post('auth/tenants/:id/confirm')
  @ForPersons()
  @HttpCode(204)
  @ApiOperation({
    operationId: 'confirmTenant',
    summary: 'Confirm a membership',
    description: "A membership that became `unconfirmed` when the mailbox's owner claimed the account.",
  })
  @ApiNoContentResponse({ description: 'The membership is active.' })
  @ApiProblem('conflict', 'There is nothing to confirm.')
  async confirm(@CurrentPerson() person: Person, @TenantId() id: string, @NoBody() _body: unknown): Promise<void> {
    await this.memberships.confirm(person, id);
  }

  @Post('auth/tenants/:id/decline')
  @ForPersons()
  @HttpCode(204)
  @ApiOperation({
    operationId: 'declineTenant',
    summary: 'Decline a membership',
    description: 'A membership that became `unconfirmed`. If its person is the only owner, the tenant closes.',
  })
  @ApiNoContentResponse({ description: 'The membership has ended.' })
  @ApiProblem('conflict', 'There is nothing to decline.')
  async decline(@CurrentPerson() person: Person, @TenantId() id: string, @NoBody() _body: unknown): Promise<void> {
    await this.memberships.decline(person, id);
  }

  @Post('auth/switch-tenant')
  @ForPersons({ also: ['enrol', 'step-up'] })
  @HttpCode(200)
  @ApiOperation({
    operationId: 'switchTenant',
    summary: 'Act in another tenant',
    description:
      'Begins a session in another tenant of the person, whose rules are checked again. The old session stays valid.',
  })
  @ApiOkResponse({ type: SignedInView, description: 'Signed in to that tenant.' })
  @ApiProblem('not_found', "Tenant '0198c0de-7a11-7000-8000-000000000002' not found")
  @ApiProblem('forbidden', 'The tenant does not take you now.')
  @ApiProblem('insufficient_user_authentication', 'Confirm the sign-in with POST /auth/step-up, then try again.')
  switch(
    @CurrentPerson() person: Person,
    @Body() body: SwitchTenantDto,
    @CurrentClient() client: Client,
  ): Promise<SignedInView> {
    return this.memberships.switch(person, body.tenant_id, client);
  }

  @Post('tenants')
  @ForPersons()
  @ApiOperation({
    operationId: 'createTenant',
    summary: 'Make a tenant',
    description: 'With the person as its owner; at most five a day.',
  })
  @ApiCreatedResponse({ type: SignedInView, description: 'Signed in to the new tenant.' })
  @ApiProblem('registration_closed', 'Registration is closed.')
  create(
    @CurrentPerson() person: Person,
    @Body() body: CreateTenantDto,
    @CurrentClient() client: Client,
    @Idempotent() request: IdempotentRequest | undefined,
  ): Promise<WriteResult> {
    return this.creation.create(person, body.name, client, request);
  }
}
