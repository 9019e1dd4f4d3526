import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import {
  ApiAcceptedResponse,
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
} from '@nestjs/swagger';
import { ApiProblem, ApiSection } from '../../platform/http/openapi/declarations';
import { type Caller, CurrentCaller, NoApiKeys, Requires, StepUp } from '../../platform/http/requests/caller';
import { PageDto } from '../../platform/http/requests/page.dto';
import { ResourceId } from '../../platform/http/requests/resource-id.pipe';
import { NoBody } from '../../platform/http/requests/validation.pipe';
import { Conditional, IfMatch, type Precondition } from '../../platform/http/responses/conditional-requests';
import { Idempotent, type IdempotentRequest } from '../../platform/http/responses/idempotency';
import type { JsonPage, Representation, WriteResult } from '../../platform/http/responses/results';
import { CreateInvitationDto } from './invitations.requests';
import { InvitationPage, InvitationView } from './invitations.views';
import { InvitationsService } from './invitations.service';

const InvitationId = () => Param('id', new ResourceId('Invitation'));

@ApiSection('Invitations', 'Invitations into the tenant, sent by mail and valid for 7 days. API keys: 403.')
@Controller('invitations')
@NoApiKeys()
export class InvitationsController {
  constructor(private readonly invitations: InvitationsService) {}

  @Post()
  @Requires('members:manage')
  @StepUp()
  @ApiOperation({
    operationId: 'createInvitation',
    summary: 'Invite a person',
    description:
      'To a role whose permissions the caller holds. Only the mail contains the link; it is void once its ' +
      'inviter leaves or no longer holds the role’s permissions.',
  })
  @ApiCreatedResponse({ type: InvitationView, description: 'The invitation.' })
  @ApiProblem('conflict', 'This address has a pending invitation: send it again, or withdraw it.')
  @ApiProblem('business_rule_violation', 'Mail is not configured: an invitation could not be sent.')
  create(
    @CurrentCaller() caller: Caller,
    @Body() body: CreateInvitationDto,
    @Idempotent() request: IdempotentRequest | undefined,
  ): Promise<WriteResult> {
    return this.invitations.create(caller, body, request);
  }

  @Get()
  @Requires('members:manage')
  @ApiOperation({ operationId: 'listInvitations', summary: 'List invitations', description: 'Newest first.' })
  @ApiOkResponse({ type: InvitationPage, description: 'A page.' })
  list(@CurrentCaller() caller: Caller, @Query() query: PageDto): Promise<JsonPage> {
    return this.invitations.list(caller, query);
  }

  @Get(':id')
  @Requires('members:manage')
  @Conditional()
  @ApiOperation({ operationId: 'getInvitation', summary: 'Get an invitation', description: 'Without its token.' })
  @ApiOkResponse({ type: InvitationView, description: 'The invitation.' })
  find(@CurrentCaller() caller: Caller, @InvitationId() id: string): Promise<Representation> {
    return this.invitations.find(caller, id);
  }

  @Delete(':id')
  @Requires('members:manage')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'deleteInvitation',
    summary: 'Withdraw an invitation',
    description: 'Its token becomes invalid.',
  })
  @ApiNoContentResponse({ description: 'The invitation is withdrawn.' })
  remove(
    @CurrentCaller() caller: Caller,
    @InvitationId() id: string,
    @IfMatch() ifMatch: Precondition | undefined,
  ): Promise<void> {
    return this.invitations.remove(caller, id, ifMatch);
  }

  @Post(':id/resend')
  @Requires('members:manage')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'resendInvitation',
    summary: 'Send an invitation again',
    description:
      'With a new token for another 7 days; the old one becomes invalid, and the caller becomes the inviter.',
  })
  @ApiAcceptedResponse({ description: 'The mail will be sent.' })
  @ApiProblem('business_rule_violation', 'Mail is not configured: an invitation could not be sent.')
  resend(@CurrentCaller() caller: Caller, @InvitationId() id: string, @NoBody() _none: undefined): Promise<void> {
    return this.invitations.resend(caller, id);
  }
}
