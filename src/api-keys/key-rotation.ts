/** The rules of a rotation. */
import type { TenantTransaction } from '../platform/database/tenant-database';
import { AppError, Conflict } from '../platform/errors';
import { countLiveSecrets, type KeyRow } from './api-keys.queries';

/** Texts of one key that are valid at once. */
const MAX_LIVE_SECRETS = 10;
/** A rotation with an overlap waits this long after the last one. */
const ROTATION_PAUSE_MS = 10_000;

/**
 * Lets one of several rotations succeed: one that arrived before the newest text was made is refused, and one with an
 * overlap for some seconds after it. A rotation of a leaked key, without an overlap, does not have to wait.
 */
export async function assertRotatable(
  tx: TenantTransaction,
  key: KeyRow,
  overlap: number,
  arrivedAt: Date,
  now: Date,
): Promise<void> {
  const [live] = await tx.query<{ count: number; newest_at: Date | null }>(countLiveSecrets(tx.tenantId, key.id, now));
  const rotatedAt = live?.newest_at && live.newest_at > key.createdAt ? live.newest_at.getTime() : -Infinity;
  if (rotatedAt >= arrivedAt.getTime()) throw rotatedMeanwhile();
  if (overlap > 0 && now.getTime() - rotatedAt < ROTATION_PAUSE_MS) throw rotatedMeanwhile();
  if (overlap > 0 && (live?.count ?? 0) >= MAX_LIVE_SECRETS) {
    throw new AppError(
      'business_rule_violation',
      `A key has at most ${MAX_LIVE_SECRETS} texts that count at once: rotate without an overlap, or wait.`,
    );
  }
}

/** The refusal of a concurrent rotation. */
export function rotatedMeanwhile(): Conflict {
  return new Conflict('The key was changed at the same time; look at it before you rotate it again.');
}
