import type { SampledColumn } from '../../platform/crypto/sampled-column';

/** The encryption context of the secret of a person's authenticator app. */
export function totpContext(userId: string): string {
  return `totp/${userId}`;
}

/** The secrets of authenticator apps, for trying a key on them. */
export const SAMPLED_TOTP_SECRETS: SampledColumn = {
  table: 'totp_factors',
  key: ['user_id'],
  column: 'secret',
  contextOf: ([userId = '']) => totpContext(userId),
};
