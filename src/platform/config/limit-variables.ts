import { flag, integer } from './variables';

/** The variables of request limits and quotas. */
export const LIMIT_VARIABLES = {
  RATE_LIMIT_ENABLED: flag({ fallback: true, doc: '`false` turns the request limits off (never those of sign-in).' }),
  RATE_LIMIT_TENANT_PER_SECOND: integer({
    min: 1,
    max: 1_000_000,
    fallback: 200,
    doc: 'Requests a second of one tenant, sustained.',
  }),
  RATE_LIMIT_TENANT_BURST: integer({
    min: 1,
    max: 10_000_000,
    fallback: 1000,
    doc: 'Burst of requests of one tenant.',
  }),
  RATE_LIMIT_ADDRESS_PER_MINUTE: integer({
    min: 1,
    max: 10_000_000,
    fallback: 600,
    doc: 'Requests a minute of one address (IPv6: of one /64) on routes without a credential.',
  }),
  RATE_LIMIT_REGISTRATION: integer({
    min: 0,
    max: 1_000_000,
    fallback: 5,
    doc: 'Registrations an hour of one address (IPv6: of one /64); 0 sets no limit, as `npm start` does.',
  }),
  NEW_TENANT_LIMITS_PERCENT: integer({
    min: 1,
    max: 100,
    fallback: 25,
    doc: 'Percentage of the request limits and quotas that a tenant has during its first day; 100 (as under `npm start`) gives it all of them.',
  }),
  QUOTA_EVENTS_PER_DAY: integer({
    min: 0,
    max: 1_000_000_000_000,
    fallback: 10_000_000,
    doc: 'Events of one tenant a day (UTC), those of its changes included; 0 sets no limit. Above it, changes get 429 until midnight.',
  }),
  QUOTA_EVENT_MIB_PER_DAY: integer({
    min: 0,
    max: 1_000_000_000,
    fallback: 20_480,
    doc: "MiB of the events' data of one tenant a day (UTC); 0 sets no limit.",
  }),
  QUOTA_DELIVERIES_PER_DAY: integer({
    min: 0,
    max: 1_000_000_000_000,
    fallback: 50_000_000,
    doc: 'Deliveries of the events of one tenant a day (UTC); 0 sets no limit. Above it new events are ' + 'refused.',
  }),
  QUOTA_STORED_ROWS: integer({
    min: 0,
    max: 1_000_000_000_000,
    fallback: 1_000_000_000,
    doc:
      'Stored rows of one tenant, history and events included, until their deletion; 0 sets no limit. ' +
      'Above it, changes get 422. The count begins with the first start of a release that counts.',
  }),
  REQUEST_BODIES_MIB: integer({
    min: 16,
    max: 65_536,
    fallback: 32,
    doc:
      'MiB of request bodies that one API process reads and processes at once; a tenant has half of it. A body ' +
      'that must wait longer than 5 s gets 429 or 503. Allow ten times as much memory.',
  }),
  RATE_LIMIT_SIGN_IN_FREE: integer({
    min: 1,
    max: 1000,
    fallback: 5,
    doc: 'Failed sign-ins of one account before pauses begin.',
  }),
  RATE_LIMIT_SIGN_IN_ADDRESS: integer({
    min: 1,
    max: 100_000,
    fallback: 60,
    doc: 'Failed sign-ins of one address (IPv6: of one /64) in 15 minutes.',
  }),
};
