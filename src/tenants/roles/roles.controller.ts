import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiParam } from '@nestjs/swagger';
import { ApiProblem, ApiSection } from '../../platform/http/openapi/declarations';
import { type Caller, CurrentCaller, NoApiKeys, Requires, StepUp } from '../../platform/http/requests/caller';
import { PageDto } from '../../platform/http/requests/page.dto';
import { Conditional, IfMatch, type Precondition } from '../../platform/http/responses/conditional-requests';
import { Idempotent, type IdempotentRequest } from '../../platform/http/responses/idempotency';
import type { JsonPage, Representation, WriteResult } from '../../platform/http/responses/results';
import { ROLE_NAME } from './role-catalogue';
import { CreateRoleDto, UpdateRoleDto } from './roles.requests';
import { RolePage, RoleView } from './roles.views';
import { RolesService } from './roles.service';

const ApiName = () =>
  ApiParam({
    name: 'name',
    description: "The role's name.",
    schema: { type: 'string', maxLength: 50, pattern: ROLE_NAME.source, example: 'support' },
  });

@ApiSection('Roles', 'Named sets of permissions: four built in, at most 50 of the tenant itself. API keys: 403.')
@Controller('roles')
@NoApiKeys()
export class RolesController {
  constructor(private readonly roles: RolesService) {}

  @Post()
  @Requires('roles:manage')
  @StepUp()
  @ApiOperation({
    operationId: 'createRole',
    summary: 'Create a role',
    description: 'With permissions of the caller; `sso:manage` belongs to owners alone.',
  })
  @ApiCreatedResponse({ type: RoleView, description: 'The role.' })
  @ApiProblem('conflict', 'The role support exists already.')
  @ApiProblem('business_rule_violation', 'A tenant has at most 50 custom roles.')
  create(
    @CurrentCaller() caller: Caller,
    @Body() body: CreateRoleDto,
    @Idempotent() request: IdempotentRequest | undefined,
  ): Promise<WriteResult> {
    return this.roles.create(caller, body, request);
  }

  @Get()
  @Requires('members:read')
  @ApiOperation({
    operationId: 'listRoles',
    summary: 'List roles',
    description: 'Custom ones newest first, then those built in.',
  })
  @ApiOkResponse({ type: RolePage, description: 'A page.' })
  list(@CurrentCaller() caller: Caller, @Query() query: PageDto): Promise<JsonPage> {
    return this.roles.list(caller, query);
  }

  @Get(':name')
  @ApiName()
  @Requires('members:read')
  @Conditional()
  @ApiOperation({ operationId: 'getRole', summary: 'Get a role', description: 'With its permissions.' })
  @ApiOkResponse({ type: RoleView, description: 'The role.' })
  find(@CurrentCaller() caller: Caller, @Param('name') name: string): Promise<Representation> {
    return this.roles.find(caller, name);
  }

  @Patch(':name')
  @ApiName()
  @Requires('roles:manage')
  @StepUp()
  @ApiOperation({
    operationId: 'updateRole',
    summary: 'Change a role',
    description: "Neither the old nor the new permissions may exceed the caller's. Reaches members within 2 seconds.",
  })
  @ApiOkResponse({ type: RoleView, description: 'The changed role.' })
  @ApiProblem('business_rule_violation', 'Built-in roles cannot be changed.')
  update(
    @CurrentCaller() caller: Caller,
    @Param('name') name: string,
    @Body() body: UpdateRoleDto,
    @IfMatch() ifMatch: Precondition | undefined,
  ): Promise<Representation> {
    return this.roles.update(caller, name, body, ifMatch);
  }

  @Delete(':name')
  @ApiName()
  @Requires('roles:manage')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'deleteRole',
    summary: 'Delete a role',
    description: 'A role without members and pending invitations.',
  })
  @ApiNoContentResponse({ description: 'The role is deleted.' })
  @ApiProblem('conflict', 'The role is in use by a pending or current member.')
  @ApiProblem('business_rule_violation', 'Built-in roles cannot be changed.')
  remove(
    @CurrentCaller() caller: Caller,
    @Param('name') name: string,
    @IfMatch() ifMatch: Precondition | undefined,
  ): Promise<void> {
    return this.roles.remove(caller, name, ifMatch);
  }
}
