/**
 * Credentials of programs. Nouns: a *key* has *scopes*, permissions that its maker held; a key of the *tenant* outlives
 * people, a *personal* one is limited by the current role of its person and ends with the membership; the *text* of a
 * key is shown once and can be *rotated*, with an overlap in which the old text is still valid.
 *
 * The flow: create → the text; a request → the credential: checksum, hash, state (cached while its epochs are
 * unchanged), networks, limit → a caller whose actor is the key.
 *
 * Invariants: only SHA-256 of a text is stored; a key never does more than its scopes; a revocation reaches
 * every process within two seconds; a cached check costs no query.
 */
import { Module } from '@nestjs/common';
import { AuthModule } from '../auth/auth.module';
import { DatabaseModule } from '../platform/database/database.module';
import { TenantContents } from '../platform/hooks/tenant-contents';
import { HttpPlatformModule } from '../platform/http/http.module';
import { EventCatalogue } from '../platform/outbox/event-catalogue';
import { OutboxModule } from '../platform/outbox/outbox.module';
import { ApiKey } from './api-key.entity';
import { API_KEY_EVENT_TYPES } from './api-key-event-types';
import { ApiKeyCredential } from './api-key.credential';
import { ApiKeysController } from './api-keys.controller';
import './api-keys.permissions';
import { countTenantKeys } from './api-keys.queries';
import { ApiKeysService } from './api-keys.service';
import { KeyUsage } from './key-usage';
import { OperatorKeys } from './operator-keys.service';
import { PersonalKeys } from './personal-keys';
import { AuditPlatformModule } from '../platform/audit/audit.module';
import { HooksModule } from '../platform/hooks/hooks.module';
import { MailPlatformModule } from '../platform/mail/mail.module';
import { RevocationModule } from '../platform/revocation/revocation.module';

@Module({
  imports: [
    AuditPlatformModule,
    AuthModule,
    DatabaseModule.forFeature([ApiKey]),
    HooksModule,
    HttpPlatformModule,
    MailPlatformModule,
    OutboxModule,
    RevocationModule,
  ],
  controllers: [ApiKeysController],
  providers: [ApiKeyCredential, ApiKeysService, KeyUsage, OperatorKeys, PersonalKeys],
})
export class ApiKeysModule {
  constructor(types: EventCatalogue, contents: TenantContents) {
    types.add(...API_KEY_EVENT_TYPES);
    contents.register('tenant_keys', countTenantKeys);
  }
}
