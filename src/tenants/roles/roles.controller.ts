import { Body, Controller, Delete, Get, Headers, HttpCode, Param, Patch, Post, Query, Req, Res } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiProblem, ApiSection } from '../../platform/http/openapi/declarations';
import { type Caller, CurrentCaller, NoApiKeys, Requires, StepUp } from '../../platform/http/requests/caller';
import { PageDto } from '../../platform/http/requests/page.dto';
import { Idempotent, type IdempotentRequest, sendResponse } from '../../platform/http/responses/idempotency';
import { sendPage, sendResource } from '../../platform/http/responses/json-response';
import { CreateRoleDto, RolePage, RoleView, UpdateRoleDto } from './roles.dto';
import { RolesService } from './roles.service';

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
    description: 'With permissions that the caller has itself; `sso:manage` belongs to owners alone.',
  })
  @ApiCreatedResponse({ type: RoleView, description: 'The role.' })
  @ApiProblem('conflict', 'The role support exists already.')
  @ApiProblem('business_rule_violation', 'A tenant has at most 50 custom roles.')
  async create(
    @CurrentCaller() caller: Caller,
    @Body() body: CreateRoleDto,
    @Idempotent() request: IdempotentRequest | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    sendResponse(reply, await this.roles.create(caller, body, request));
  }

  @Get()
  @Requires('members:read')
  @ApiOperation({
    operationId: 'listRoles',
    summary: 'List roles',
    description: 'Custom ones newest first, then those built in.',
  })
  @ApiOkResponse({ type: RolePage, description: 'A page.' })
  async list(
    @CurrentCaller() caller: Caller,
    @Query() query: PageDto,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    sendPage(request, reply, await this.roles.list(caller, query));
  }

  @Get(':name')
  @Requires('members:read')
  @ApiOperation({ operationId: 'getRole', summary: 'Get a role', description: 'With its permissions.' })
  @ApiOkResponse({ type: RoleView, description: 'The role.' })
  async find(
    @CurrentCaller() caller: Caller,
    @Param('name') name: string,
    @Headers('if-none-match') ifNoneMatch: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    sendResource(reply, await this.roles.find(caller, name), ifNoneMatch);
  }

  @Patch(':name')
  @Requires('roles:manage')
  @StepUp()
  @ApiOperation({
    operationId: 'updateRole',
    summary: 'Change a role',
    description:
      'Neither what it has nor what it gets may be more than the caller has. Reaches members within 2 seconds.',
  })
  @ApiOkResponse({ type: RoleView, description: 'The role as it is now.' })
  @ApiProblem('business_rule_violation', 'Built-in roles cannot be changed.')
  async update(
    @CurrentCaller() caller: Caller,
    @Param('name') name: string,
    @Body() body: UpdateRoleDto,
    @Headers('if-match') ifMatch: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    sendResource(reply, await this.roles.update(caller, name, body, ifMatch));
  }

  @Delete(':name')
  @Requires('roles:manage')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'deleteRole',
    summary: 'Delete a role',
    description: 'One that no member and no pending invitation has.',
  })
  @ApiNoContentResponse({ description: 'The role is gone.' })
  @ApiProblem('conflict', 'The role is in use by a pending or current member.')
  @ApiProblem('business_rule_violation', 'Built-in roles cannot be changed.')
  remove(
    @CurrentCaller() caller: Caller,
    @Param('name') name: string,
    @Headers('if-match') ifMatch: string | undefined,
  ): Promise<void> {
    return this.roles.remove(caller, name, ifMatch);
  }
}
