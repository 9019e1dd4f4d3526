/** The events of the audit log, and the names of an entry in them and in OCSF. */
import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import type { EventType } from '../platform/outbox/event-catalogue';
import { AuditEntryView } from './audit-entry.views';
import { AuditCheckpointView } from './audit.views';

@ApiSchema({ description: 'An entry of the audit log that its tree contains.' })
class AuditEventView extends AuditEntryView {
  @ApiProperty({ type: 'integer', minimum: 0, description: "The entry's place in the tree.", example: 41 })
  leaf_index: number;

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    description: 'The entry as an event of the Open Cybersecurity Schema Framework (OCSF 1.3).',
    example: { class_uid: 3001, class_name: 'Account Change', activity_id: 99, severity_id: 1 },
  })
  ocsf: Record<string, unknown>;
}

/** A class of OCSF, and the actions that are of it. */
interface OcsfClass {
  readonly type: string;
  readonly uid: number;
  readonly name: string;
  readonly category: number;
  readonly categoryName: string;
  readonly covers: RegExp;
}

const IAM = { category: 3, categoryName: 'Identity & Access Management' };

/** The first that covers an action is its class; the last covers all. */
const CLASSES: readonly OcsfClass[] = [
  {
    type: 'audit.authentication',
    uid: 3002,
    name: 'Authentication',
    ...IAM,
    covers: /^(session|sign_in|auth|challenge)\b/,
  },
  { type: 'audit.group', uid: 3006, name: 'Group Management', ...IAM, covers: /^(role|directory_group)\b/ },
  {
    type: 'audit.access',
    uid: 3005,
    name: 'User Access Management',
    ...IAM,
    covers: /^(member|membership|invitation|api_key|permission)\b/,
  },
  {
    type: 'audit.account',
    uid: 3001,
    name: 'Account Change',
    ...IAM,
    covers: /^(user|account|password|email|totp|passkey|recovery_codes?|second_factor|factor)\b/,
  },
  {
    type: 'audit.activity',
    uid: 6003,
    name: 'API Activity',
    category: 6,
    categoryName: 'Application Activity',
    covers: /^/,
  },
];

/** The event types of entries. */
export const ENTRY_EVENT_TYPES: readonly string[] = CLASSES.map(({ type }) => type);
export const CHECKPOINT_EVENT = 'audit.checkpoint';

export const AUDIT_EVENT_TYPES: readonly EventType[] = [
  ...CLASSES.map(({ type, name, uid }) => ({
    name: type,
    description: `An entry of the audit log was appended to its tree, one of OCSF’s class ${name} (${uid}).`,
    data: AuditEventView,
  })),
  {
    name: CHECKPOINT_EVENT,
    description:
      'The head of the audit log’s tree, signed; at most one an hour. Keep it: a log that loses its end no longer fits it.',
    data: AuditCheckpointView,
  },
];

function classOf(action: string): OcsfClass {
  return CLASSES.find(({ covers }) => covers.test(action)) as OcsfClass;
}

/** The event type of an entry with this action. */
export function eventTypeOf(action: string): string {
  return classOf(action).type;
}

const OTHER_ACTIVITY = 99;
const STATUS = { success: [1, 'Success'], denied: [2, 'Failure'], failure: [2, 'Failure'] } as const;

/** The entry in OCSF's words. */
export function toOcsf(entry: AuditEntryView, tenantId: string): Record<string, unknown> {
  const { uid, name, category, categoryName } = classOf(entry.action);
  const [statusId, status] = STATUS[entry.outcome as keyof typeof STATUS];
  const isPerson = entry.actor.type === 'user';
  return {
    class_uid: uid,
    class_name: name,
    category_uid: category,
    category_name: categoryName,
    activity_id: OTHER_ACTIVITY,
    activity_name: entry.action,
    type_uid: uid * 100 + OTHER_ACTIVITY,
    severity_id: statusId === 1 ? 1 : 2,
    severity: statusId === 1 ? 'Informational' : 'Low',
    status_id: statusId,
    status,
    time: Date.parse(entry.occurred_at),
    count: entry.count,
    metadata: {
      version: '1.3.0',
      uid: entry.id,
      tenant_uid: tenantId,
      product: { name: 'Orders SaaS API', vendor_name: 'Orders' },
    },
    actor: {
      user: {
        uid: entry.actor.id,
        email_addr: entry.actor.email,
        type: isPerson ? 'User' : 'System',
        type_id: isPerson ? 1 : 3,
      },
      ...(entry.session_id === null ? {} : { session: { uid: entry.session_id } }),
    },
    user: { uid: entry.target.type === 'user' || entry.target.type === 'member' ? entry.target.id : entry.actor.id },
    resources: [{ type: entry.target.type, uid: entry.target.id }],
    ...(entry.network === null ? {} : { src_endpoint: { ip: entry.network } }),
    ...(entry.user_agent === null ? {} : { http_request: { user_agent: entry.user_agent, uid: entry.request_id } }),
  };
}
