import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { parseCidr } from '../../platform/net/cidrs';
import { Config } from '../../platform/config/config';
import { TenantDatabase } from '../../platform/database/tenant-database';
import { LOGGER } from '../../platform/observability/logger.module';
import { parseTraceparent } from '../../platform/observability/trace-context';
import { TRACING, type Tracing } from '../../platform/observability/tracing';
import type { DeliveryJob } from '../notifications/delivery-job';
import { SecretBoxError } from '../../platform/crypto/secret-box';
import { SECRET_BOX, type SecretBox } from '../../platform/crypto/secret-box.module';
import { Batcher } from './batcher';
import { beginDeliverySpans } from './delivery-spans';
import { answersChallenge, ConsentRecorder } from '../endpoints/endpoint-consent';
import { CHALLENGE_EVENT } from '../event-types/event-type-names';
import type { EndpointParts } from '../endpoints/endpoint-parts';
import { secretContext } from '../endpoints/endpoint-secrets';
import type { Freshness, SendOutcome } from '../http-client/http-exchange';
import { Outcomes } from './outcomes';
import { createWebhookClient, succeeded, type WebhookClient } from '../http-client/webhook-client';
import { findToSend, type SendingRow } from './sending.queries';
import { sign } from '../http-client/signature';

/**
 * The rows of a busy tenant are read at this interval, milliseconds, or as soon as there are enough; those of an idle
 * tenant immediately.
 */
const READS = { limit: 100, interval: 15, enough: 32 };
const OPENED_SECRETS = 2_000;
/** Clocks of two processes may differ by this much. */
const CLOCK_TOLERANCE_MS = 5_000;
/** A delivery that was read longer ago than this is read again before it is sent: another worker may have sent it. */
const FRESH_FOR_MS = 1_000;

/** A delivery with the time when it was read. */
interface Loaded {
  row: SendingRow;
  age: Age;
}

/**
 * Runs one job: loads the delivery, checks that it is still due, signs the exact bytes, sends them, and records the
 * outcome before the job ends. After a kill in between, the job returns: the receiver may get the same `webhook-id`
 * twice, but never a delivery after a recorded success.
 */
@Injectable()
export class DeliverySender {
  private readonly sender: WebhookClient;
  private readonly loads: Batcher<string, Loaded | undefined>;
  /** The secrets of recently used endpoints, by context and encrypted text. */
  private readonly opened = new Map<string, string>();

  constructor(
    config: Config,
    private readonly database: TenantDatabase,
    private readonly outcomes: Outcomes,
    private readonly consents: ConsentRecorder,
    @Inject(SECRET_BOX) private readonly box: SecretBox,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(TRACING) private readonly tracing: Tracing,
  ) {
    this.sender = createWebhookClient({
      policy: { allowHttp: config.WEBHOOK_ALLOW_HTTP, allowCidrs: config.WEBHOOK_ALLOW_CIDRS.map(parseCidr) },
      timeout: config.WEBHOOK_TIMEOUT,
    });
    this.loads = new Batcher((tenantId, ids) => this.load(tenantId, ids), READS);
  }

  async deliver(job: DeliveryJob): Promise<void> {
    const takenAt = new Date().getTime();
    const loaded = await this.loads.submit(job.tenantId, job.deliveryId);
    if (!loaded) return;
    const { row } = loaded;
    if (!isDue(row, job)) {
      this.outcomes.skipped(job.tenantId, row.endpoint_id, row.id);
      return;
    }
    const spans = this.tracing.isOn ? beginDeliverySpans(this.tracing, job, row, takenAt) : undefined;
    try {
      const sent = await this.judge(job, row, await this.send(job, loaded, spans?.traceparent));
      spans?.sent(sent);
      if (sent.unwanted) this.outcomes.skipped(job.tenantId, row.endpoint_id, row.id);
      else await this.outcomes.record(job.tenantId, row, sent);
      spans?.end();
    } catch (error) {
      spans?.end((error as Error).name);
      throw error;
    }
  }

  /** A challenge succeeds when the receiver has responded to it; then its consent is recorded first. */
  private async judge({ tenantId }: DeliveryJob, row: SendingRow, sent: SendOutcome): Promise<SendOutcome> {
    if (row.event_type !== CHALLENGE_EVENT || row.challenge === null || !succeeded(sent)) return sent;
    if (!answersChallenge(row.challenge, sent)) return { ...sent, error: 'challenge not answered' };
    await this.consents.record(tenantId, row.endpoint_id, row.challenge);
    return sent;
  }

  /** The number of deliveries that have waited for their receivers for so long, milliseconds. */
  outFor(milliseconds: number): number {
    return this.sender.outFor(milliseconds);
  }

  /** Waits for running sends, then closes all connections. */
  async close(): Promise<void> {
    await this.sender.close();
  }

  private async send(job: DeliveryJob, loaded: Loaded, traceparent: string | undefined): Promise<SendOutcome> {
    const { tenantId } = job;
    const { row } = loaded;
    const body = Buffer.from(
      `{"id":"${row.event_id}","type":"${row.event_type}","timestamp":"${row.event_created_at.toISOString()}","data":${row.data}}`,
    );
    const timestamp = Math.floor(new Date().getTime() / 1000);
    const startedAt = new Date();
    let parts: EndpointParts;
    let signature: string;
    try {
      parts = this.partsOf(tenantId, row);
      signature = sign({ id: row.id, timestamp, body, secrets: this.secretsOf(tenantId, row) });
    } catch (error) {
      if (!(error instanceof SecretBoxError)) throw error;
      this.logger.error(
        { delivery_id: row.id, endpoint_id: row.endpoint_id, reason: error.message },
        'a delivery could not be signed',
      );
      return { error: 'not signed', startedAt, durationMs: 0 };
    }
    const { url, headers } = parts;
    const outcome = await this.sender.send({
      tenantId,
      freshness: this.freshness(job, loaded),
      url,
      id: row.id,
      timestamp,
      signature,
      body,
      traceparent,
      headers,
    });
    if (outcome.internal) {
      const trace = parseTraceparent(row.traceparent);
      this.logger.info(
        {
          delivery_id: row.id,
          ...(trace ? { trace_id: trace.traceId } : {}),
          error: outcome.error,
          internal: outcome.internal,
        },
        'a delivery failed',
      );
    }
    return outcome;
  }

  private freshness(job: DeliveryJob, loaded: Loaded): Freshness {
    let { age } = loaded;
    return {
      isFresh: () => age.milliseconds < FRESH_FOR_MS,
      confirm: async () => {
        const again = await this.loads.submit(job.tenantId, job.deliveryId);
        if (!again || !isDue(again.row, job) || !isSameMessage(again.row, loaded.row)) return false;
        ({ age } = again);
        return true;
      },
    };
  }

  /** The secrets to sign with, the current one first; the previous one during its overlap. */
  private secretsOf(tenantId: string, row: SendingRow): string[] {
    const context = secretContext(tenantId, row.endpoint_id);
    const secrets = [this.open(row.secret, context)];
    if (row.previous_secret) {
      try {
        secrets.push(this.open(row.previous_secret, context));
      } catch (error) {
        // Its key is lost, which is why a tenant rotates: the new secret signs alone.
        if (!(error instanceof SecretBoxError)) throw error;
      }
    }
    return secrets;
  }

  /** The destination and the headers. */
  private partsOf(tenantId: string, { url, headers, endpoint_id, encrypted_parts: parts }: SendingRow): EndpointParts {
    if (parts === null) return { url, headers };
    return JSON.parse(this.open(parts, secretContext(tenantId, endpoint_id))) as EndpointParts;
  }

  private open(sealed: string, context: string): string {
    const key = `${context} ${sealed}`;
    let secret = this.opened.get(key);
    if (secret === undefined) {
      secret = this.box.decrypt(sealed, context);
      if (this.opened.size >= OPENED_SECRETS) this.opened.clear();
      this.opened.set(key, secret);
    }
    return secret;
  }

  private async load(tenantId: string, ids: string[]): Promise<(Loaded | undefined)[]> {
    const age = new Age();
    const now = new Date();
    const dueBy = new Date(now.getTime() + CLOCK_TOLERANCE_MS);
    const rows = await this.database.query<SendingRow>({ tenantId }, findToSend(tenantId, ids, now, dueBy));
    const byId = new Map(rows.map((row) => [row.id, { row, age }]));
    return ids.map((id) => byId.get(id));
  }
}

/** The time since a read, by the clock that shows more: neither clock runs during every pause of a machine. */
class Age {
  private readonly monotonic = performance.now();
  private readonly wall = new Date().getTime();

  get milliseconds(): number {
    return Math.max(performance.now() - this.monotonic, new Date().getTime() - this.wall);
  }
}

/** Whether the attempt of a job is still due. */
function isDue(row: SendingRow, job: DeliveryJob): boolean {
  return row.is_due && row.attempt_count === job.attempt - 1;
}

/** Whether both rows lead to the same request. */
function isSameMessage(a: SendingRow, b: SendingRow): boolean {
  return (
    a.url === b.url &&
    a.encrypted_parts === b.encrypted_parts &&
    a.secret === b.secret &&
    a.previous_secret === b.previous_secret
  );
}
