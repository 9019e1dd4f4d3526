import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { Config } from '../../platform/config/config';
import { SecretBoxError } from '../../platform/crypto/secret-box';
import { parseCidr } from '../../platform/net/cidrs';
import { LOGGER } from '../../platform/observability/logger.module';
import { parseTraceparent } from '../../platform/observability/trace-context';
import { TRACING, type Tracing } from '../../platform/observability/tracing';
import { echoesChallenge, ConsentRecorder } from '../endpoints/endpoint-consent';
import { CHALLENGE_EVENT } from '../event-types/event-type-names';
import type { Freshness, SendOutcome } from '../http-client/http-exchange';
import { createWebhookClient, succeeded, type WebhookClient } from '../http-client/webhook-client';
import type { DueDelivery, Turn } from '../notifications/delivery-job';
import type { Age } from './age';
import { DeliveryLoader, isDue, isSameMessage, type LoadedDelivery } from './delivery-loader';
import { DeliverySigner, type SignedMessage } from './delivery-signer';
import { beginDeliverySpans, type DeliverySpans } from './delivery-spans';
import type { JobLease } from './job-lease';
import { Outcomes } from './outcomes';
import type { SendingRow } from './sending.queries';

/** A delivery that was read longer ago than this is read again before it is sent: another worker may have sent it. */
const FRESH_FOR_MS = 1_000;

/** A delivery of a job. */
interface Attempt extends DueDelivery {
  tenantId: string;
  /** Of the job that has it now. */
  lease: JobLease;
  /** When the job was taken from the queue, milliseconds of Unix time. */
  takenAt: number;
}

/** An attempt in progress. */
interface RunningAttempt {
  attempt: Attempt;
  end?: Promise<void>;
}

/** Whether an attempt is still to be made: by this worker, and by the state of the delivery a moment ago. */
class AttemptFreshness implements Freshness {
  private age: Age;

  constructor(
    private readonly loader: DeliveryLoader,
    private readonly attempt: Attempt,
    private readonly loaded: LoadedDelivery,
  ) {
    this.age = loaded.age;
  }

  isFresh(): boolean {
    return this.attempt.lease.isHeld() && this.age.milliseconds < FRESH_FOR_MS;
  }

  async confirm(): Promise<boolean> {
    const { tenantId, deliveryId, attempt: number, lease } = this.attempt;
    if (!(await lease.ensure())) return false;
    const again = (await this.loader.load(tenantId, [deliveryId])).get(deliveryId);
    if (!again || !isDue(again.row, number) || !isSameMessage(again.row, this.loaded.row)) return false;
    this.age = again.age;
    return true;
  }
}

/**
 * Runs one job: loads the deliveries of a turn, checks that they are still due, signs the exact bytes, sends them all
 * at once, and records each outcome separately before the job ends. After a kill in between, the job returns, and
 * deliveries without an outcome are sent again: the receiver may get the same `webhook-id` twice, but never a delivery
 * after a recorded success.
 */
@Injectable()
export class DeliverySender {
  private readonly client: WebhookClient;
  /** The attempts of this process, by delivery and number: a job whose lock was lost may come back to it. */
  private readonly running = new Map<string, RunningAttempt>();

  constructor(
    config: Config,
    private readonly loader: DeliveryLoader,
    private readonly signer: DeliverySigner,
    private readonly outcomes: Outcomes,
    private readonly consents: ConsentRecorder,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(TRACING) private readonly tracing: Tracing,
  ) {
    this.client = createWebhookClient({
      policy: { allowHttp: config.WEBHOOK_ALLOW_HTTP, allowCidrs: config.WEBHOOK_ALLOW_CIDRS.map(parseCidr) },
      timeout: config.WEBHOOK_TIMEOUT,
    });
  }

  /**
   * Sends the deliveries of a turn as long as this worker has their job.
   * @param ended is called at the end of each, with any outcome
   * @throws when one could not be processed; by then all have ended
   */
  async deliver({ tenantId, deliveries }: Turn, lease: JobLease, ended: () => void): Promise<void> {
    const takenAt = new Date().getTime();
    let failure: { error: unknown } | undefined;
    const fail = (error: unknown, deliveryId?: string): void => {
      failure ??= { error };
      // The delivery stays due: the dispatcher finds that its job is missing and reads it again.
      this.logger.error({ err: error, delivery_id: deliveryId }, 'a delivery could not be processed');
    };
    const ids = deliveries.map(({ deliveryId }) => deliveryId);
    const loaded = await this.loader.load(tenantId, ids).catch((error: unknown) => fail(error, ids[0]));
    const run = async (due: DueDelivery): Promise<void> => {
      try {
        await this.attempt({ ...due, tenantId, lease, takenAt }, loaded?.get(due.deliveryId));
      } catch (error) {
        fail(error, due.deliveryId);
      } finally {
        ended();
      }
    };
    await Promise.all(deliveries.map(run));
    if (failure) throw failure.error;
  }

  /** Resolves at the end of the attempt; undefined if there is nothing to send. */
  private attempt(attempt: Attempt, loaded: LoadedDelivery | undefined): Promise<void> | undefined {
    const { tenantId, deliveryId, attempt: number } = attempt;
    if (!loaded) return undefined;
    const key = `${deliveryId}-${number}`;
    const running = this.running.get(key);
    if (running) {
      running.attempt.lease = attempt.lease;
      return running.end;
    }
    if (!isDue(loaded.row, number)) {
      this.outcomes.announceSkipped(tenantId, loaded.row, number);
      return undefined;
    }
    const begun: RunningAttempt = { attempt };
    this.running.set(key, begun);
    begun.end = this.sendAndRecord(key, attempt, loaded);
    return begun.end;
  }

  private async sendAndRecord(key: string, attempt: Attempt, loaded: LoadedDelivery): Promise<void> {
    const { tenantId } = attempt;
    const { row } = loaded;
    let spans: DeliverySpans | undefined;
    try {
      if (this.tracing.isOn) spans = beginDeliverySpans(this.tracing, attempt, row);
      let sent = await this.send(attempt, loaded, spans?.traceparent);
      if (sent.internal) this.logFailure(row, sent);
      if (row.event_type === CHALLENGE_EVENT) sent = await this.verifyChallenge(tenantId, row, sent);
      spans?.sent(sent);
      // With another worker's job the delivery has not ended: that worker announces its end.
      if (sent.unwanted && attempt.lease.isHeld()) this.outcomes.announceSkipped(tenantId, row, attempt.attempt);
      if (!sent.unwanted) await this.outcomes.record(tenantId, row, sent, attempt.lease);
      spans?.end();
    } catch (error) {
      spans?.end((error as Error).name);
      throw error;
    } finally {
      this.running.delete(key);
    }
  }

  /** A challenge succeeds when the receiver has responded to it; then its consent is recorded first. */
  private async verifyChallenge(tenantId: string, row: SendingRow, sent: SendOutcome): Promise<SendOutcome> {
    if (row.challenge === null || !succeeded(sent)) return sent;
    if (!echoesChallenge(row.challenge, sent)) return { ...sent, error: 'challenge not answered' };
    await this.consents.record(tenantId, row.endpoint_id, row.challenge);
    return sent;
  }

  /** The number of deliveries that have waited for their receivers for so long, milliseconds. */
  inFlightFor(milliseconds: number): number {
    return this.client.inFlightFor(milliseconds);
  }

  /** Waits for running sends, then closes all connections. */
  async close(): Promise<void> {
    await this.client.close();
  }

  /** Signs and sends a delivery. If it cannot be signed, the outcome is known at once. */
  private send(attempt: Attempt, loaded: LoadedDelivery, traceparent?: string): Promise<SendOutcome> | SendOutcome {
    const { tenantId } = attempt;
    const { row, body } = loaded;
    let message: SignedMessage;
    try {
      message = this.signer.sign(tenantId, loaded);
    } catch (error) {
      if (!(error instanceof SecretBoxError)) throw error;
      const reason = error.message;
      const { id: delivery_id, endpoint_id } = row;
      this.logger.error({ delivery_id, endpoint_id, reason }, 'a delivery could not be signed');
      return { error: 'not signed', startedAt: new Date(), durationMs: 0 };
    }
    const freshness = new AttemptFreshness(this.loader, attempt, loaded);
    return this.client.send({ ...message, tenantId, freshness, id: row.id, body, traceparent });
  }

  private logFailure(row: SendingRow, { error, internal }: SendOutcome): void {
    const trace = parseTraceparent(row.traceparent);
    const fields = { delivery_id: row.id, ...(trace ? { trace_id: trace.traceId } : {}), error, internal };
    this.logger.info(fields, 'a delivery failed');
  }
}
