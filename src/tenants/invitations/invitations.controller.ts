import { Body, Controller, Delete, Get, Headers, HttpCode, Param, Post, Query, Req, Res } from '@nestjs/common';
import {
  ApiAcceptedResponse,
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
} from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiProblem, ApiSection } from '../../platform/http/openapi/declarations';
import { type Caller, CurrentCaller, NoApiKeys, Requires, StepUp } from '../../platform/http/requests/caller';
import { PageDto } from '../../platform/http/requests/page.dto';
import { ResourceId } from '../../platform/http/requests/resource-id.pipe';
import { NoBody } from '../../platform/http/requests/validation.pipe';
import { Idempotent, type IdempotentRequest, sendResponse } from '../../platform/http/responses/idempotency';
import { sendPage, sendResource } from '../../platform/http/responses/json-response';
import { CreateInvitationDto, InvitationPage, InvitationView } from './invitations.dto';
import { InvitationsService } from './invitations.service';

const InvitationId = () => Param('id', new ResourceId('Invitation'));

@ApiSection('Invitations', 'Offers of a place in the tenant, sent by mail and good for 7 days. API keys: 403.')
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
      'To a role whose permissions the caller holds. The link is in the mail alone; it is void once its inviter leaves or ' +
      'no longer holds the role’s permissions.',
  })
  @ApiCreatedResponse({ type: InvitationView, description: 'The invitation.' })
  @ApiProblem('conflict', 'This address has a pending invitation: send it again, or withdraw it.')
  @ApiProblem('business_rule_violation', 'Mail is not configured: an invitation could not be sent.')
  async create(
    @CurrentCaller() caller: Caller,
    @Body() body: CreateInvitationDto,
    @Idempotent() request: IdempotentRequest | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    sendResponse(reply, await this.invitations.create(caller, body, request));
  }

  @Get()
  @Requires('members:manage')
  @ApiOperation({ operationId: 'listInvitations', summary: 'List invitations', description: 'Newest first.' })
  @ApiOkResponse({ type: InvitationPage, description: 'A page.' })
  async list(
    @CurrentCaller() caller: Caller,
    @Query() query: PageDto,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    sendPage(request, reply, await this.invitations.list(caller, query));
  }

  @Get(':id')
  @Requires('members:manage')
  @ApiOperation({ operationId: 'getInvitation', summary: 'Get an invitation', description: 'Without its token.' })
  @ApiOkResponse({ type: InvitationView, description: 'The invitation.' })
  async find(
    @CurrentCaller() caller: Caller,
    @InvitationId() id: string,
    @Headers('if-none-match') ifNoneMatch: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    sendResource(reply, await this.invitations.find(caller, id), ifNoneMatch);
  }

  @Delete(':id')
  @Requires('members:manage')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'deleteInvitation',
    summary: 'Withdraw an invitation',
    description: 'Its token is dead.',
  })
  @ApiNoContentResponse({ description: 'The invitation is gone.' })
  remove(
    @CurrentCaller() caller: Caller,
    @InvitationId() id: string,
    @Headers('if-match') ifMatch: string | undefined,
  ): Promise<void> {
    return this.invitations.remove(caller, id, ifMatch);
  }

  @Post(':id/resend')
  @Requires('members:manage')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'resendInvitation',
    summary: 'Send an invitation again',
    description: 'With a new token for another 7 days; the old one is dead, and the caller is the inviter.',
  })
  @ApiAcceptedResponse({ description: 'The mail is on its way.' })
  @ApiProblem('business_rule_violation', 'Mail is not configured: an invitation could not be sent.')
  resend(@CurrentCaller() caller: Caller, @InvitationId() id: string, @NoBody() _none: undefined): Promise<void> {
    return this.invitations.resend(caller, id);
  }
}
