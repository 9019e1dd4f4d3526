import type { Statement } from '../database/sql/statement';

/**
 * Counts a tenant's waiting mails by the key that encrypted them. They are not re-encrypted: a mail is sent or given up
 * within half a day, and its key has to stay until then.
 */
export const WAITING_MAILS = {
  countByKey: (tenantId: string): Statement => ({
    name: 'mail_outbox_count_by_key',
    text: `select split_part(sealed, '.', 2) as kid, count(*)::int as count from mail_outbox where tenant_id = $1 group by 1`,
    values: [tenantId],
  }),
};
