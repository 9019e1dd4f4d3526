import { Body, Controller, Delete, Get, HttpCode, Patch, Post } from '@nestjs/common';
import { ApiAcceptedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { ApiProblem, ApiSection } from '../../platform/http/openapi/declarations';
import {
  type Caller,
  CurrentCaller,
  CurrentPrincipal,
  ForPersons,
  personOf,
  type Principal,
  Requires,
  StepUp,
} from '../../platform/http/requests/caller';
import { CallerAddress } from '../../platform/http/requests/request-details';
import { Conditional, IfMatch, type Precondition } from '../../platform/http/responses/conditional-requests';
import type { Representation } from '../../platform/http/responses/results';
import { UpdateTenantDto } from './company.requests';
import { OwnTenantView } from './company.views';
import { CompanyService } from './company.service';

@ApiSection('Tenant', 'The company of the caller: its name, its policies, its end.')
@Controller('tenant')
export class CompanyController {
  constructor(private readonly company: CompanyService) {}

  @Get()
  @Requires('signed-in')
  @Conditional()
  @ApiOperation({
    operationId: 'getTenant',
    summary: 'Get the tenant',
    description: 'For every member; `policies` are shown to callers with `tenant:manage`.',
  })
  @ApiOkResponse({ type: OwnTenantView, description: 'The tenant.' })
  find(@CurrentCaller() caller: Caller): Promise<Representation> {
    return this.company.find(caller);
  }

  @Patch()
  @Requires('tenant:manage')
  @StepUp()
  @ApiOperation({
    operationId: 'updateTenant',
    summary: 'Change name and policies',
    description:
      'Policies are for owners. They apply to every request, to live sessions within 2 seconds, and to personal keys as to ' +
      'their person. A change that would lock out its own author is refused.',
  })
  @ApiOkResponse({ type: OwnTenantView, description: 'The changed tenant.' })
  update(
    @CurrentCaller() caller: Caller,
    @Body() body: UpdateTenantDto,
    @CallerAddress() address: string,
    @IfMatch() ifMatch: Precondition | undefined,
  ): Promise<Representation> {
    return this.company.update(caller, body, address, ifMatch);
  }

  @Delete()
  @Requires('tenant:manage')
  @StepUp()
  @HttpCode(202)
  @ApiOperation({
    operationId: 'closeTenant',
    summary: 'Close the tenant',
    description:
      'For owners. From then on no credential is valid, except for signing in to `POST /tenant/restore`; ' +
      'everything is erased after 30 days.',
  })
  @ApiAcceptedResponse({ description: 'The tenant is closed.' })
  close(@CurrentCaller() caller: Caller): Promise<void> {
    return this.company.close(caller);
  }

  @Post('restore')
  @ForPersons({ only: ['closed'] })
  @HttpCode(204)
  @ApiOperation({
    operationId: 'restoreTenant',
    summary: 'Open a closed tenant again',
    description: 'For owners, by a session on the closed tenant, until it is erased.',
  })
  @ApiNoContentResponse({ description: 'The tenant is open.' })
  @ApiProblem('conflict', 'The tenant is not closed.')
  @ApiProblem('forbidden', 'Restoring the tenant is for owners.')
  restore(@CurrentPrincipal() principal: Principal): Promise<void> {
    const person = personOf(principal);
    if (!person) throw new Error('the route is for persons');
    return this.company.restore(person, principal.kind === 'tenant' ? principal.caller.role : principal.role);
  }
}
