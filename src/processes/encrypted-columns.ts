/** The encrypted columns of the features, for the processes that need all of them. */
import { SAMPLED_TOTP_SECRETS } from '../auth/totp/encrypted-secrets';
import type { SampledColumn } from '../platform/crypto/sampled-column';
import { SAMPLED_SECRETS } from '../webhooks/endpoints/encrypted-secrets';

/** Columns that an encryption key is tried on when a process starts. */
export const SAMPLED_COLUMNS: readonly SampledColumn[] = [SAMPLED_SECRETS, SAMPLED_TOTP_SECRETS];
