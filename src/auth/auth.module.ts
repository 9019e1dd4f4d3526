/**
 * The callers. Nouns: a *user* (of the users feature) is a person, a *membership* (of the tenants feature) a place in a
 * tenant, a *session* a sign-in of one user to one tenant or to none, a *refresh token* continues it, requests carry an
 * *access token* (JWT).
 *
 * The flow: register or log in → a session and a pair of tokens; refresh → a new pair, the old token used. Every
 * request passes four guards: authentication (the authenticator makes the principal of the credential), limits,
 * permission, step-up.
 *
 * Invariants: the tenant comes from the credential alone; a refresh token can be used once; a revocation
 * reaches every process within two seconds, by the epochs of `platform/revocation`; only hashes of passwords and tokens
 * are stored; an unknown e-mail address looks like a wrong password.
 */
import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { SignInDatabase } from '../platform/database/roles/sign-in-database';
import { PassportModule } from '@nestjs/passport';
import { HttpPlatformModule } from '../platform/http/http.module';
import { PermissionGuard } from '../platform/http/requests/permission.guard';
import { RequestLimitsGuard } from '../platform/http/limits/request-limits';
import { EventCatalogue } from '../platform/outbox/event-catalogue';
import { OutboxModule } from '../platform/outbox/outbox.module';
import { UsersModule } from '../users/users.module';
import { AccessTokenCredential } from './tokens/access-token.credential';
import { AccessTokenStrategy } from './tokens/access-token.strategy';
import { AccessTokens } from './tokens/access-tokens';
import { AuthController } from './sign-in/auth.controller';
import { AuthService } from './sign-in/auth.service';
import { AuthenticationGuard } from './access/authentication.guard';
import { AcceptingController } from './invitations/accepting.controller';
import { AcceptingService } from './invitations/accepting.service';
import { TenantsModule } from '../tenants/tenants.module';
import { AuthHooks } from './access/auth-hooks';
import { Authenticator } from './access/authenticator';
import { Challenges } from './totp/challenges';
import { RecoveryCodes } from './totp/recovery-codes';
import { SecondFactorController } from './totp/second-factor.controller';
import { TotpService } from './totp/totp.service';
import { SecondFactors } from './second-factor/second-factors';
import { SessionStates } from './sessions/session-states';
import { FailedProofs } from './proofs/failed-proofs';
import { SessionEnds } from './sessions/session-ends';
import { SESSION_EVENT_TYPES } from './sessions/session-event-types';
import { Sessions } from './sessions/sessions';
import { PasswordPolicy } from './sign-in/password-policy';
import { SignInLimits } from './sign-in/sign-in-limits';
import { SignIn } from './sign-in/sign-in';
import { OptionalPersonPipe } from './access/optional-person';
import { AccountAudit } from './account/account-audit';
import { AccountMailsController } from './account/account-mails.controller';
import { AccountController } from './account/account.controller';
import { AccountService } from './account/account.service';
import { EmailChangeService } from './account/email-change.service';
import { OperatorAccounts } from './account/operator-accounts.service';
import { PasswordsService } from './account/passwords.service';
import { PersonSessions } from './account/person-sessions';
import { MailAllowance } from './mailbox/mail-allowance';
import { MailboxProofs } from './mailbox/mailbox-proofs';
import { OwnProof } from './mailbox/own-proof';
import { MembershipsController } from './memberships/memberships.controller';
import { MembershipsService } from './memberships/memberships.service';
import { TenantCreation } from './memberships/tenant-creation';
import { RegistrationController } from './registration/registration.controller';
import { Registration } from './registration/registration.service';
import { NewAccounts } from './sign-in/new-accounts';
import { StepUpController } from './step-up/step-up.controller';
import { StepUpService } from './step-up/step-up.service';
import { OneTimeTokens } from './tokens/one-time-tokens';
import { StepUpGuard } from './access/step-up.guard';
import { AuditPlatformModule } from '../platform/audit/audit.module';
import { HooksModule } from '../platform/hooks/hooks.module';
import { MailPlatformModule } from '../platform/mail/mail.module';
import { RevocationModule } from '../platform/revocation/revocation.module';
import { SecretBoxModule } from '../platform/crypto/secret-box.module';

@Module({
  imports: [
    AuditPlatformModule,
    HooksModule,
    HttpPlatformModule,
    MailPlatformModule,
    OutboxModule,
    PassportModule,
    RevocationModule,
    SecretBoxModule,
    TenantsModule,
    UsersModule,
  ],
  controllers: [
    AcceptingController,
    AuthController,
    RegistrationController,
    AccountMailsController,
    AccountController,
    MembershipsController,
    StepUpController,
    SecondFactorController,
  ],
  providers: [
    AuthService,
    PasswordPolicy,
    AccessTokens,
    AccessTokenStrategy,
    AccessTokenCredential,
    AuthHooks,
    Authenticator,
    SecondFactors,
    Challenges,
    RecoveryCodes,
    TotpService,
    SignIn,
    SignInDatabase,
    OptionalPersonPipe,
    AccountAudit,
    AccountService,
    EmailChangeService,
    OperatorAccounts,
    PasswordsService,
    PersonSessions,
    MailAllowance,
    MailboxProofs,
    OwnProof,
    AcceptingService,
    MembershipsService,
    TenantCreation,
    Registration,
    NewAccounts,
    StepUpService,
    OneTimeTokens,
    FailedProofs,
    SessionEnds,
    Sessions,
    SessionStates,
    SignInLimits,
    { provide: APP_GUARD, useClass: AuthenticationGuard },
    { provide: APP_GUARD, useClass: RequestLimitsGuard },
    { provide: APP_GUARD, useClass: PermissionGuard },
    { provide: APP_GUARD, useClass: StepUpGuard },
  ],
  exports: [
    Authenticator,
    SecondFactors,
    SignIn,
    SignInLimits,
    OptionalPersonPipe,
    OwnProof,
    MailboxProofs,
    OperatorAccounts,
  ],
})
export class AuthModule {
  constructor(types: EventCatalogue) {
    types.add(...SESSION_EVENT_TYPES);
  }
}
