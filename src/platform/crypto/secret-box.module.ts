import { hkdfSync } from 'node:crypto';
import { Module } from '@nestjs/common';
import { Config, required } from '../config/config';
import { createSecretBox, type SecretBox } from './secret-box';

export type { SecretBox } from './secret-box';

/** Injection token of the {@link SecretBox} that encrypts secrets at rest. */
export const SECRET_BOX = Symbol('SECRET_BOX');

/** The id of the key that is derived from `JWT_SECRET`. */
export const DERIVED_KEY = 'jwt';

/**
 * The box with the configured keys. Without keys it encrypts with a key derived from `JWT_SECRET`. The derived key
 * always decrypts, so that keys can be configured later.
 */
export function secretBoxOf(config: Config): SecretBox {
  const configured = config.ENCRYPTION_KEYS?.split(',') ?? [];
  if (
    configured.length > 0 &&
    (!config.JWT_SECRET || configured.some((key) => key.trim().startsWith(`${DERIVED_KEY}:`)))
  ) {
    return createSecretBox(configured.join(','));
  }
  const derived = Buffer.from(hkdfSync('sha256', required(config, 'JWT_SECRET'), '', 'secret-box', 32));
  return createSecretBox([...configured, `${DERIVED_KEY}:${derived.toString('base64')}`].join(','));
}

/** Provides the secret box. */
@Module({
  providers: [{ provide: SECRET_BOX, inject: [Config], useFactory: secretBoxOf }],
  exports: [SECRET_BOX],
})
export class SecretBoxModule {}
