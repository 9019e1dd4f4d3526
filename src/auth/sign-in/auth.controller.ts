import { Body, Controller, Get, HttpCode, Post } from '@nestjs/common';
import { ApiBody, ApiNoContentResponse, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { CurrentPrincipal, ForPersons, type Principal, Public } from '../../platform/http/requests/caller';
import { ApiProblem, ApiSection } from '../../platform/http/openapi/declarations';
import { LoginDto, RefreshDto } from './auth.requests';
import { MeView, SignedInView, TokensView } from './auth.views';
import { AuthService } from './auth.service';
import type { Client } from '../proofs/proof';
import { CurrentClient } from '../sessions/client';

@ApiSection('Auth', 'Companies register, people sign in, and refresh tokens continue sessions.')
@Controller('auth')
export class AuthController {
  constructor(private readonly auth: AuthService) {}

  @Post('login')
  @Public()
  @HttpCode(200)
  @ApiOperation({
    operationId: 'login',
    summary: 'Sign in',
    description:
      'An unknown e-mail address and a wrong password get the same response after the same time. Failures are ' +
      'limited per account (5 free, then growing pauses) and per address (60 in 15 minutes).',
  })
  @ApiBody({
    type: LoginDto,
    examples: {
      last_tenant: {
        summary: 'To the tenant last used',
        value: { email: 'ada@example.com', password: 'correct horse battery' },
      },
      one_tenant: {
        summary: 'To one of several tenants',
        value: {
          email: 'ada@example.com',
          password: 'correct horse battery',
          tenant_id: '0198c0de-7a11-7000-8000-000000000002',
        },
      },
    },
  })
  @ApiOkResponse({ type: SignedInView, description: 'Signed in.' })
  @ApiProblem('not_found', "Tenant '0198c0de-7a11-7000-8000-000000000002' not found")
  @ApiProblem('unauthorized', 'The e-mail address or the password is wrong.')
  @ApiProblem('second_factor_required', 'A second factor is required.')
  @ApiProblem('rate_limited', 'Too many failed sign-ins; try again later.')
  login(@Body() body: LoginDto, @CurrentClient() client: Client): Promise<SignedInView> {
    return this.auth.login(body, client);
  }

  @Post('refresh')
  @Public()
  @HttpCode(200)
  @ApiOperation({
    operationId: 'refreshTokens',
    summary: 'Get a new pair of tokens',
    description:
      'The request uses up the token. A second use of a token ends the session, except that a retry within 10 seconds ' +
      'gets the same successor, as long as that was not used.',
  })
  @ApiOkResponse({ type: TokensView, description: 'The new pair.' })
  @ApiProblem('unauthorized', 'The refresh token is not valid.')
  refresh(@Body() body: RefreshDto, @CurrentClient() client: Client): Promise<TokensView> {
    return this.auth.refresh(body.refresh_token, client);
  }

  @Post('logout')
  @Public()
  @HttpCode(204)
  @ApiOperation({
    operationId: 'logout',
    summary: 'Sign out',
    description: 'Ends the session of the refresh token; its access tokens stop working within 2 seconds.',
  })
  @ApiNoContentResponse({ description: 'The session has ended.' })
  @ApiProblem('unauthorized', 'The refresh token is not valid.')
  logout(@Body() body: RefreshDto): Promise<void> {
    return this.auth.logout(body.refresh_token);
  }

  @Get('me')
  @ForPersons({ also: ['enrol', 'step-up'], singleSignOn: true, apiKeys: true })
  @ApiOperation({
    operationId: 'getMe',
    summary: 'Get the caller',
    description: 'The person, the tenant, and the permissions.',
  })
  @ApiOkResponse({ type: MeView, description: 'The caller.' })
  me(@CurrentPrincipal() principal: Principal): Promise<MeView> {
    return this.auth.me(principal);
  }
}
