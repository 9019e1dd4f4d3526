import { hkdfSync } from 'node:crypto';
import { Global, Module } from '@nestjs/common';
import { type Config, required } from './config/config';
import { CONFIG } from './config/config.module';
import { createSecretBox, type SecretBox } from './secret-box';

export type { SecretBox } from './secret-box';

/** Injection token of the {@link SecretBox} that seals what is secret at rest. */
export const SECRET_BOX = Symbol('SECRET_BOX');

/** The box with the configured keys, or with one that is derived from `JWT_SECRET`. */
export function secretBoxOf(config: Config): SecretBox {
  if (config.ENCRYPTION_KEYS) return createSecretBox(config.ENCRYPTION_KEYS);
  const derived = Buffer.from(hkdfSync('sha256', required(config, 'JWT_SECRET'), '', 'secret-box', 32));
  return createSecretBox(`jwt:${derived.toString('base64')}`);
}

/** Provides the secret box to everything. */
@Global()
@Module({
  providers: [{ provide: SECRET_BOX, inject: [CONFIG], useFactory: secretBoxOf }],
  exports: [SECRET_BOX],
})
export class SecretBoxModule {}
