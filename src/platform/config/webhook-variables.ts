import { cidr } from './variable-checks';
import { duration, durations, flag, integer, list } from './variables';

/** The variables of webhooks. */
export const WEBHOOK_VARIABLES = {
  WEBHOOK_RETRY_SCHEDULE: durations({
    min: '1ms',
    max: '7d',
    atMost: 50,
    fallback: '5s,5m,30m,2h,5h,10h,14h,20h,24h',
    doc: 'Delays before each retry of a delivery (±20 %); their number is the number of retries.',
  }),
  WEBHOOK_TIMEOUT: duration({
    min: '100ms',
    max: '2m',
    fallback: '15s',
    doc: 'One deadline for name, connection, TLS, request and response of a delivery.',
  }),
  WEBHOOK_ALLOW_HTTP: flag({ fallback: false, doc: 'Allows endpoints with `http://`.' }),
  WEBHOOK_ALLOW_CIDRS: list({
    fallback: '',
    check: cidr,
    doc:
      'Private ranges that webhooks may reach, with `http://` too, by address or by a name that resolves ' +
      'there: for your own networks.',
  }),
  WEBHOOK_MAX_ENDPOINTS: integer({
    min: 1,
    max: 100_000,
    fallback: 1_000,
    doc: 'Endpoints of one tenant.',
  }),
  WEBHOOK_MAX_ENDPOINTS_PER_HOST: integer({
    min: 1,
    max: 100_000,
    fallback: 100,
    doc: 'Endpoints of one tenant at one host: that host gets each event once per endpoint. Literal addresses in `WEBHOOK_ALLOW_CIDRS` are not counted.',
  }),
  WEBHOOK_CONSENT: flag({
    fallback: false,
    doc:
      'Requests the consent of the receiver of a new endpoint, or of a new URL, by a signed ' +
      '`webhook.challenge`; before that, it gets no other event. Literal addresses in `WEBHOOK_ALLOW_CIDRS` need ' +
      'no consent.',
  }),
  WEBHOOK_CONCURRENCY: integer({
    min: 8,
    max: 10_000,
    fallback: 512,
    doc: 'Deliveries that one worker sends at once.',
  }),
  WEBHOOK_SHARDS: integer({
    min: 1,
    max: 256,
    fallback: 16,
    doc: 'Parts into which the tenants are divided among the workers: the largest number of workers that relay and dispatch at once. Fixed when a database is used first; `admin shards set` changes it.',
  }),
  WEBHOOK_RETENTION_DAYS: integer({
    min: 1,
    max: 3650,
    fallback: 90,
    doc: 'Retention of events, deliveries and their attempts.',
  }),
};
