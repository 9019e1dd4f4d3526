import { Body, Controller, Header, HttpCode, Post } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { ApiProblem, ApiSection } from '../../platform/http/openapi/declarations';
import { type Person, Public } from '../../platform/http/requests/caller';
import { OptionalPerson } from '../access/optional-person';
import type { Client } from '../proofs/proof';
import { CurrentClient } from '../sessions/client';
import { SignedInView } from '../sign-in/auth.views';
import { AcceptingService } from './accepting.service';
import { AcceptInvitationDto, PreviewInvitationDto } from './invitations.requests';
import { InvitationPreviewView } from './invitations.views';

@ApiSection('Account', "One's own account: password, address, sessions, tenants.")
@Controller('auth/invitations')
export class AcceptingController {
  constructor(private readonly accepting: AcceptingService) {}

  @Post('preview')
  @Public()
  @HttpCode(200)
  @ApiOperation({
    operationId: 'previewInvitation',
    summary: 'Preview an invitation',
    description: 'The tenant, role and address of the invitation. Does not use the token.',
  })
  @ApiOkResponse({ type: InvitationPreviewView, description: 'The invitation.' })
  @ApiProblem('token_invalid', 'The token is not valid (any more).')
  preview(@Body() body: PreviewInvitationDto, @CurrentClient() client: Client): Promise<InvitationPreviewView> {
    return this.accepting.preview(body.token, client);
  }

  @Post('accept')
  @Public()
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  @ApiOperation({
    operationId: 'acceptInvitation',
    summary: 'Accept an invitation',
    description:
      'A person without an account sends a new password; a person with one sends a session of the invited ' +
      'address, or the password of the account. Another password takes over an account whose ' +
      'address was never verified.',
  })
  @ApiOkResponse({ type: SignedInView, description: 'Joined and signed in.' })
  @ApiProblem('token_invalid', 'The token is not valid (any more).')
  @ApiProblem('unauthorized', 'Sign in, or send the password of the account.')
  @ApiProblem('forbidden', 'You are signed in as another person than the invited one.')
  @ApiProblem('conflict', 'You are a member of this tenant already.')
  accept(
    @Body() body: AcceptInvitationDto,
    @CurrentClient() client: Client,
    @OptionalPerson() person: Person | undefined,
  ): Promise<SignedInView> {
    return this.accepting.accept(body, person, client);
  }
}
