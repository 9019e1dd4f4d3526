import type { Row, Statement } from '../database/sql/statement';

/** The value of `user_id` for the counter of the whole tenant. */
export const WHOLE_TENANT = '00000000-0000-0000-0000-000000000000';

/** A counter that moved. */
export interface EpochRow extends Row {
  tenant_id: string;
  user_id: string;
  epoch: number;
}

/** Raises one counter. */
export function raiseEpoch(tenantId: string, userId: string): Statement {
  return {
    name: 'epoch_raise',
    text: `insert into tenant_auth_state (tenant_id, user_id, epoch) values ($1, $2, 1)
           on conflict (tenant_id, user_id) do update set epoch = tenant_auth_state.epoch + 1`,
    values: [tenantId, userId],
  };
}

/** Raises a person's counter in several tenants. The ids are sorted: two such statements cannot wait for each other. */
export function raiseEpochs(tenantIds: readonly string[], userId: string): Statement {
  const sorted = [...tenantIds].sort();
  return {
    name: 'epochs_raise',
    text: `insert into tenant_auth_state (tenant_id, user_id, epoch)
           select id, $2::uuid, 1 from unnest($1::uuid[]) as id
           on conflict (tenant_id, user_id) do update set epoch = tenant_auth_state.epoch + 1`,
    values: [sorted, userId],
    distributed: () => sorted.map((tenantId) => raiseEpoch(tenantId, userId)),
  };
}

/** Those of the given counters that no longer have the given value. */
export function findMoved(watched: readonly { tenantId: string; userId: string; epoch: number }[]): Statement {
  return {
    name: 'epochs_moved',
    text: `select s.tenant_id, s.user_id, s.epoch
             from unnest($1::uuid[], $2::uuid[], $3::int[]) as w (tenant_id, user_id, epoch)
             join tenant_auth_state s on s.tenant_id = w.tenant_id and s.user_id = w.user_id
            where s.epoch <> w.epoch`,
    values: [
      watched.map(({ tenantId }) => tenantId),
      watched.map(({ userId }) => userId),
      watched.map(({ epoch }) => epoch),
    ],
  };
}
