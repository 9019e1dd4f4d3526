import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import { ApiAcceptedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { ApiProblem, ApiSection } from '../../platform/http/openapi/declarations';
import { type Caller, CurrentCaller, NoApiKeys, Requires, StepUp } from '../../platform/http/requests/caller';
import { NoBody } from '../../platform/http/requests/validation.pipe';
import { ResourceId } from '../../platform/http/requests/resource-id.pipe';
import { Conditional, IfMatch, type Precondition } from '../../platform/http/responses/conditional-requests';
import type { JsonPage, Representation } from '../../platform/http/responses/results';
import { ListMembersDto, UpdateMemberDto } from './members.requests';
import { MemberPage, MemberView } from './members.views';
import { MembersService } from './members.service';

const MemberId = () => Param('user_id', new ResourceId('Member'));

@ApiSection('Members', 'The people of the tenant: roles, status, end of memberships. API keys: 403.')
@Controller('members')
@NoApiKeys()
export class MembersController {
  constructor(private readonly members: MembersService) {}

  @Get()
  @Requires('members:read')
  @ApiOperation({ operationId: 'listMembers', summary: 'List members', description: 'The newest accounts first.' })
  @ApiOkResponse({ type: MemberPage, description: 'A page.' })
  list(@CurrentCaller() caller: Caller, @Query() query: ListMembersDto): Promise<JsonPage> {
    return this.members.list(caller, query);
  }

  @Get(':user_id')
  @Requires('members:manage')
  @Conditional()
  @ApiOperation({ operationId: 'getMember', summary: 'Get a member', description: 'By the id of the person.' })
  @ApiOkResponse({ type: MemberView, description: 'The member.' })
  find(@CurrentCaller() caller: Caller, @MemberId() id: string): Promise<Representation> {
    return this.members.find(caller, id);
  }

  @Patch(':user_id')
  @Requires('members:manage')
  @StepUp()
  @ApiOperation({
    operationId: 'updateMember',
    summary: "Change a member's role or status",
    description:
      'Neither the member nor the new role may have a permission that the caller lacks. A change reaches every ' +
      'live credential of the member within 2 seconds; a suspension ends the sessions and personal keys here ' +
      'permanently.',
  })
  @ApiOkResponse({ type: MemberView, description: 'The changed member.' })
  @ApiProblem('conflict', 'A directory manages this member: change it there.')
  @ApiProblem('business_rule_violation', 'A tenant always has an active owner; this is the last one.')
  update(
    @CurrentCaller() caller: Caller,
    @MemberId() id: string,
    @Body() body: UpdateMemberDto,
    @IfMatch() ifMatch: Precondition | undefined,
  ): Promise<Representation> {
    return this.members.update(caller, id, body, ifMatch);
  }

  @Delete(':user_id')
  @Requires('signed-in')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'removeMember',
    summary: 'Remove a member, or leave',
    description:
      'Requires the permission `members:manage`, except for the own membership. The sessions and personal keys ' +
      'of the person in this tenant end within 2 seconds.',
  })
  @ApiNoContentResponse({ description: 'The person is no longer a member.' })
  @ApiProblem('forbidden', 'The role member may not do this: it lacks members:manage.')
  @ApiProblem('conflict', 'A directory manages this member: change it there.')
  @ApiProblem('business_rule_violation', 'A tenant always has an active owner; this is the last one.')
  remove(
    @CurrentCaller() caller: Caller,
    @MemberId() id: string,
    @IfMatch() ifMatch: Precondition | undefined,
  ): Promise<void> {
    return this.members.remove(caller, id, ifMatch);
  }

  @Post(':user_id/password-reset')
  @Requires('members:manage')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'resetMemberPassword',
    summary: 'Send a member a reset of the password',
    description: "To the member's own address; only the mail contains the link.",
  })
  @ApiAcceptedResponse({ description: 'The mail will be sent.' })
  resetPassword(@CurrentCaller() caller: Caller, @MemberId() id: string, @NoBody() _none: undefined): Promise<void> {
    return this.members.sendReset(caller, id);
  }

  @Delete(':user_id/sessions')
  @Requires('members:manage')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'endMemberSessions',
    summary: "End a member's sessions",
    description: 'Only those of this tenant; they stop working within 2 seconds.',
  })
  @ApiNoContentResponse({ description: 'The sessions have ended.' })
  endSessions(@CurrentCaller() caller: Caller, @MemberId() id: string): Promise<void> {
    return this.members.endSessions(caller, id);
  }
}
