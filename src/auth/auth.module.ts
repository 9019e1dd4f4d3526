/**
 * Who calls. Nouns: a *user* is a person, a *membership* (of the tenants feature) their place in a tenant, a *session* a
 * sign-in of one user to one tenant, a *refresh token* what continues it, an *access token* (JWT) what requests carry.
 *
 * The flow: register or log in → a session and a pair of tokens; refresh → a new pair, the old token spent; every
 * request → the tenant guard verifies the access token, looks whether its session still counts (at most a second old)
 * and makes the `Caller`.
 *
 * What must always hold: the tenant comes from the credential alone; a refresh token is spent once; what is revoked
 * stops counting within two seconds; only hashes of passwords and tokens are stored; an unknown e-mail address looks
 * like a wrong password.
 */
import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { PassportModule } from '@nestjs/passport';
import { HttpPlatformModule } from '../platform/http/http.module';
import { AccessTokens } from './tokens/access-tokens';
import { AuthController } from './auth.controller';
import { AuthService } from './auth.service';
import { JwtStrategy } from './tokens/jwt.strategy';
import { SessionStates } from './sessions/session-states';
import { Sessions } from './sessions/sessions';
import { PasswordPolicy } from './sign-in/password-policy';
import { SignInLimits } from './sign-in/sign-in-limits';
import { TenantGuard } from './tenant.guard';

@Module({
  imports: [PassportModule, HttpPlatformModule],
  controllers: [AuthController],
  providers: [
    AuthService,
    PasswordPolicy,
    AccessTokens,
    JwtStrategy,
    Sessions,
    SessionStates,
    SignInLimits,
    { provide: APP_GUARD, useClass: TenantGuard },
  ],
})
export class AuthModule {}
