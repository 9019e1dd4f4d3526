import { createHmac, hkdfSync } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { Config } from '../config/config';
import { LOGGER } from '../observability/logger.module';
import { Metrics } from '../observability/metrics';
import type { AuditOutcome } from './audit-entry';

/** The use of a refresh token that was used before: a stolen session, or a client that repeats requests. */
export const REFRESH_TOKEN_REUSED = 'refresh_token.reused';

const HMAC_BYTES = 16;

/** Something that matters to security. */
export interface SecurityEvent {
  readonly action: string;
  readonly outcome: AuditOutcome;
  readonly tenantId?: string;
  /** `user:<id>`, `api_key:<id>`, `operator`, `system` or `anonymous`. */
  readonly actor?: string;
  readonly sessionId?: string;
  readonly network?: string;
  /** The key of an e-mail address: the log has an HMAC of it, by which lines about one address can be found. */
  readonly addressKey?: string;
}

/** One line in the process's log for each event of security, and a count of them for alerts. */
@Injectable()
export class SecurityLog {
  private key?: Buffer;

  constructor(
    private readonly config: Config,
    @Inject(LOGGER) private readonly logger: Logger,
    private readonly metrics: Metrics,
  ) {
    // An alert sees the first one only if the series exists before.
    this.metrics.securityEvents.inc({ action: REFRESH_TOKEN_REUSED, outcome: 'denied' }, 0);
  }

  /** Counts an event, and writes its line. */
  note(event: SecurityEvent): void {
    this.count(event, 1);
    this.write(event);
  }

  /** Counts events whose line is written once for many. */
  count({ action, outcome }: Pick<SecurityEvent, 'action' | 'outcome'>, count: number): void {
    this.metrics.securityEvents.inc({ action, outcome }, count);
  }

  write({ action, outcome, tenantId, actor, sessionId, network, addressKey }: SecurityEvent): void {
    const line = {
      action,
      outcome,
      tenant_id: tenantId,
      actor,
      session_id: sessionId,
      network,
      address_hmac: addressKey === undefined ? undefined : this.hmacOf(addressKey),
    };
    if (action === REFRESH_TOKEN_REUSED) this.logger.warn(line, 'security event');
    else this.logger.info(line, 'security event');
  }

  /** Undefined in a process without the secret. */
  private hmacOf(addressKey: string): string | undefined {
    const { JWT_SECRET: secret } = this.config;
    if (secret === undefined) return undefined;
    this.key ??= Buffer.from(hkdfSync('sha256', secret, '', 'security-log', 32));
    const hmac = createHmac('sha256', this.key).update(addressKey).digest();
    return hmac.subarray(0, HMAC_BYTES).toString('base64url');
  }
}

/** The actor as a line has it. */
export function actorText({ type, id }: { type: string; id: string | null }): string {
  return id === null ? type : `${type}:${id}`;
}
