/**
 * The receiver's consent. If the configuration requires consent, a new endpoint gets a signed challenge, and no other
 * event before its receiver has responded to it: so an endpoint cannot aim the service at a stranger's host.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import { Injectable } from '@nestjs/common';
import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { Config } from '../../platform/config/config';
import { TenantDatabase, type TenantTransaction } from '../../platform/database/tenant-database';
import { parseCidr } from '../../platform/net/cidrs';
import { Outbox } from '../../platform/outbox/outbox';
import { CHALLENGE_EVENT } from '../event-types/event-type-names';
import { isOpened, type SsrfPolicy } from '../http-client/ssrf-policy';
import { DispatchRequests } from '../notifications/dispatch-request';
import { giveConsent } from './endpoints.queries';
import type { WebhookEndpoint } from './webhook-endpoint.entity';

@ApiSchema({
  description: 'The response of a receiver that consents: 200 and `{ "challenge": "…" }` with the same value.',
})
export class ChallengeView {
  @ApiProperty({ minLength: 43, maxLength: 43, description: 'A random value.', example: 'A'.repeat(43) })
  challenge: string;
}

/** The columns that hold it. */
export type ConsentColumns = Pick<WebhookEndpoint, 'consent' | 'challenge'>;

/** Requests consent, in the API process. */
@Injectable()
export class EndpointConsent {
  private readonly isOn: boolean;
  private readonly policy: SsrfPolicy;

  constructor(
    config: Config,
    private readonly outbox: Outbox,
  ) {
    this.isOn = config.WEBHOOK_CONSENT;
    this.policy = { allowHttp: config.WEBHOOK_ALLOW_HTTP, allowCidrs: config.WEBHOOK_ALLOW_CIDRS.map(parseCidr) };
  }

  /** The columns of an endpoint that is to be sent to this URL from now on. */
  columnsFor(url: string): ConsentColumns {
    const host = new URL(url).hostname.replace(/^\[|\]$/g, '');
    const isOwn = isIP(host) !== 0 && isOpened(host, this.policy);
    if (!this.isOn || isOwn) return { consent: 'given', challenge: null };
    return { consent: 'pending', challenge: randomBytes(32).toString('base64url') };
  }

  /** Sends the challenge, if there is one. */
  requestConsent(tx: TenantTransaction, endpointId: string, { challenge }: ConsentColumns): void {
    if (challenge === null) return;
    this.outbox.publish(tx, [{ type: CHALLENGE_EVENT, data: JSON.stringify({ challenge }), recipientId: endpointId }]);
  }
}

/** Notes that a receiver has agreed, in the worker. */
@Injectable()
export class ConsentRecorder {
  constructor(
    private readonly database: TenantDatabase,
    private readonly signal: DispatchRequests,
  ) {}

  /** Enables other events from now on, unless the endpoint has a new challenge meanwhile. */
  record(tenantId: string, endpointId: string, challenge: string): Promise<void> {
    return this.database.transaction({ tenantId }, async (tx) => {
      await tx.query(giveConsent(tenantId, endpointId, challenge, new Date()));
      this.signal.send(tx, { tenantId, endpointId });
    });
  }
}

/** Whether a response has the challenge in it. */
export function echoesChallenge(challenge: string, response: { status?: number; body?: string }): boolean {
  if (response.status !== 200) return false;
  let answered: unknown;
  try {
    answered = (JSON.parse(response.body ?? '') as { challenge?: unknown } | null)?.challenge;
  } catch {
    return false;
  }
  const [expected, given] = [Buffer.from(challenge), Buffer.from(typeof answered === 'string' ? answered : '')];
  return expected.length === given.length && timingSafeEqual(expected, given);
}
