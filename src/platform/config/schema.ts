import { parseRedisUrl } from '../redis/redis-url';
import { assertReadable, databaseUrl } from './database-url';
import { LIMIT_VARIABLES } from './limit-variables';
import { readMailbox } from './mailbox';
import { readNodeAddresses } from './node-addresses';
import { SERVICE_NAME } from './service-name';
import { TRACING_VARIABLES } from './tracing-variables';
import { encryptionKeys, origin, proxies } from './variable-checks';
import { choice, duration, flag, integer, list, portOrOff, text, url } from './variables';
import { WEBHOOK_VARIABLES } from './webhook-variables';

/** Every environment variable of the service: the one place with their names, types, defaults and documentation. */
export const schema = {
  PORT: integer({
    min: 0,
    max: 65535,
    fallback: 3000,
    doc: 'Port of the HTTP API, or of the health routes of a worker; 0 takes a free one.',
  }),
  HOST: text({ fallback: '127.0.0.1', doc: 'Address to listen on; `0.0.0.0` in a container.' }),
  DATA_DIR: text({
    fallback: './.data',
    doc: 'Folder of `npm start` for the embedded PostgreSQL and the generated secrets.',
  }),
  REGISTRATION: choice({
    values: ['auto', 'open', 'verified', 'closed'],
    fallback: 'auto',
    doc:
      '`open`: an account is created immediately; `verified`: after the proof of its mailbox; `closed`: not at ' +
      'all; `auto`: `verified` with `SMTP_URL`, otherwise `open`.',
  }),
  PUBLIC_URL: url({
    schemes: ['https', 'http'],
    doc:
      'The public URL of the service, path prefix included: `https://example.com/shop`. `Location`, `Link`, ' +
      '`instance` and the document follow it; without it, the service is at the root of its host.',
  }),
  APP_URL: url({
    schemes: ['https', 'http'],
    doc: 'URL for the links in mails, without a slash at the end (default: `PUBLIC_URL`, else the address of the API).',
  }),
  SMTP_URL: url({
    schemes: ['smtp', 'smtps'],
    secret: true,
    doc:
      'Mail server that sends mails: `smtps://user:password@host:465`, or `smtp://` with STARTTLS if the ' +
      'server supports it. Without it, no mail is sent.',
  }),
  MAIL_FROM: text({
    fallback: 'Orders <no-reply@localhost>',
    check: (value) => void readMailbox(value),
    doc: 'Sender of mails: an address, or a name and an address in angle brackets.',
  }),
  MAIL_DIRECTORY: text({
    doc: 'Writes mails as `.eml` files into this folder where `SMTP_URL` is not set (`npm start`: `DATA_DIR/mail`).',
  }),
  AUDIT_RETENTION_DAYS: integer({
    min: 30,
    max: 36_500,
    fallback: 730,
    doc: 'Retention of entries of audit logs.',
  }),
  DATABASE_URL: databaseUrl({
    doc: 'PostgreSQL 15 or newer; `?sslmode=verify-full` for TLS, `&sslrootcert=FILE` for your own certificate authority. Without it, `npm start` runs an embedded server; the other processes need it.',
  }),
  DATABASE_PASSWORD: text({
    secret: true,
    doc: 'Password for `DATABASE_URL`, unencoded: no character has to be percent-encoded.',
  }),
  MIGRATION_DATABASE_URL: databaseUrl({
    doc: 'The owner of the tables, for `migrate` (default: `DATABASE_URL`).',
  }),
  MIGRATION_DATABASE_PASSWORD: text({ secret: true, doc: 'Password for `MIGRATION_DATABASE_URL`, unencoded.' }),
  DIRECT_DATABASE_URL: databaseUrl({
    doc: 'Bypasses a transaction pooler, for connections that need their own session (default: `DATABASE_URL`).',
  }),
  SIGN_IN_DATABASE_URL: databaseUrl({
    doc: 'The same database with the login `app_sign_in`, for work before a tenant is known. The login of `DATABASE_URL` can then reach neither passwords nor second factors. Without it, that login does this work, too.',
  }),
  QUEUE_DATABASE_URL: databaseUrl({
    doc: 'The same database with the login `app_queue`, for the queue in PostgreSQL, past any transaction pooler: that login can use only the tables of the queue (default: `DIRECT_DATABASE_URL`, else `DATABASE_URL`).',
  }),
  DATABASE_REPLICA_URL: databaseUrl({
    doc:
      'One streaming replica, which serves lists and exports if it has replayed everything that the ' +
      'primary had committed at the time of the request; two connections of each process.',
  }),
  DATABASE_REPLICA_TIMEOUT: duration({
    min: '0ms',
    max: '2s',
    fallback: '50ms',
    doc: 'The longest wait for the replay of the replica before the primary serves the read.',
  }),
  DATABASE_ROUTING: choice({
    values: ['coordinator', 'node'],
    fallback: 'coordinator',
    doc:
      'With Citus: `node` sends the statements of a tenant to the server that has its rows, over a pool for each server; ' +
      '`coordinator` sends all of them to `DATABASE_URL`. `DATABASE_URL` names the coordinator in both cases.',
  }),
  DATABASE_NODE_ADDRESSES: text({
    check: (value) => void readNodeAddresses(value),
    doc:
      'With `DATABASE_ROUTING=node`: addresses at which this process reaches servers that have other names in `pg_dist_node`, ' +
      'as `NAME:PORT=HOST:PORT`, comma-separated. Database, login and TLS are those of `DATABASE_URL`.',
  }),
  DB_NODE_POOL_SIZE: integer({
    min: 4,
    max: 500,
    fallback: 10,
    doc: 'With `DATABASE_ROUTING=node`: maximum number of connections of one process to each server, 2 of them for reads; beside `DB_POOL_SIZE` to the coordinator.',
  }),
  MIGRATIONS_WAIT: flag({
    fallback: true,
    doc:
      '`api` and `worker` wait, alive and not ready, while a migration is pending or a login of theirs is missing; ' +
      '`0` ends them instead.',
  }),
  DB_POOL_SIZE: integer({
    min: 4,
    max: 500,
    fallback: 20,
    doc:
      'Maximum number of connections of one process: 2 for reads, 1 for exports and 6 for pipelined writes are ' +
      'shared, the rest is a pool.',
  }),
  DB_PREPARED_STATEMENTS: flag({
    fallback: true,
    doc: 'Named prepared statements; `false` behind a PgBouncer older than 1.21 or without `max_prepared_statements`.',
  }),
  DB_STATEMENT_TIMEOUT: duration({
    min: '100ms',
    max: '10m',
    fallback: '15s',
    doc: 'The longest duration of a statement before it is cancelled (503).',
  }),
  DB_LIST_TIMEOUT: duration({
    min: '100ms',
    max: '10m',
    fallback: '2s',
    doc: 'Timeout of a list that must search for its rows (503); never longer than `DB_STATEMENT_TIMEOUT`.',
  }),
  REDIS_URL: text({
    secret: true,
    check(value) {
      const { caFile } = parseRedisUrl(value);
      if (caFile !== undefined) assertReadable('cacert', caFile);
    },
    doc:
      'Redis 6.2 or newer: shares rate limits between processes and carries the queue. One server ' +
      '(`redis://host/0`), the master of sentinels (`redis+sentinel://host,host/master`) or a cluster ' +
      '(`redis+cluster://host,host`); `rediss` for TLS, `?cacert=FILE` for your own certificate authority. Without ' +
      'it, each process counts for itself, and the queue is in PostgreSQL.',
  }),
  REDIS_PASSWORD: text({ secret: true, doc: 'Password for `REDIS_URL`, unencoded.' }),
  JWT_SECRET: text({
    secret: true,
    check(value) {
      if (Buffer.byteLength(value) < 32) throw new Error('must have at least 32 bytes');
    },
    doc: 'Signs access tokens (HS256) and derives the keys of cursors and refresh tokens; at least 32 bytes. `npm start` makes one.',
  }),
  JWT_SECRET_PREVIOUS: text({
    secret: true,
    check(value) {
      if (Buffer.byteLength(value) < 32) throw new Error('must have at least 32 bytes');
    },
    doc: 'The previous `JWT_SECRET`: its access tokens are accepted until they expire. Remove it after `ACCESS_TOKEN_EXPIRE_MINUTES`.',
  }),
  JWT_ISSUER: text({ fallback: SERVICE_NAME, doc: '`iss` of access tokens.' }),
  JWT_AUDIENCE: text({ fallback: SERVICE_NAME, doc: '`aud` of access tokens.' }),
  ACCESS_TOKEN_EXPIRE_MINUTES: integer({ min: 1, max: 1440, fallback: 15, doc: 'Life of an access token.' }),
  REFRESH_TOKEN_EXPIRE_DAYS: integer({
    min: 1,
    max: 365,
    fallback: 30,
    doc: 'Life of a refresh token: a session that is idle for longer ends.',
  }),
  SESSION_EXPIRE_DAYS: integer({
    min: 1,
    max: 3650,
    fallback: 365,
    doc: 'Maximum life of a session, with any number of refreshes.',
  }),
  ALLOWED_ORIGINS: list({
    fallback: 'http://localhost:3000',
    check: origin,
    doc: 'Origins of browsers that may call the API with credentials (CORS), comma-separated.',
  }),
  TRUST_PROXY: text({
    fallback: 'false',
    check: proxies,
    doc:
      'The trusted proxies for `X-Forwarded-For`: a number of hops, or their addresses. `true` trusts the ' +
      'whole header: the caller then chooses the address for the limits.',
  }),
  ...LIMIT_VARIABLES,
  ENCRYPTION_KEYS: text({
    secret: true,
    check: encryptionKeys,
    doc:
      'Encrypts secrets at rest (AES-256-GCM): `id:base64 of 32 bytes`, comma-separated; the first key ' +
      'encrypts, all decrypt. Without it, a key is derived from `JWT_SECRET`, which then must not change; that ' +
      'key still decrypts after others are set.',
  }),
  ...WEBHOOK_VARIABLES,
  DOCS_ENABLED: flag({ fallback: true, doc: 'Serves `/docs` and `/openapi.json`, `/openapi.yaml`.' }),
  SHED_EVENT_LOOP_LAG: duration({
    min: '0',
    max: '1m',
    fallback: '200ms',
    doc: 'The API refuses requests (503) once its event loop has been later than this for a second; `0` turns this off.',
  }),
  SHED_POOL_WAIT: duration({
    min: '0',
    max: '1m',
    fallback: '500ms',
    doc: 'Admits requests while their statements would wait at most this long for the database. A request that waits longer than one second gets 503; `0` turns it off.',
  }),
  METRICS_PORT: portOrOff({
    doc: 'Port of `/metrics` for Prometheus, or `off` (default: 9464 for the roles `api` and `worker`, `off` under `npm start`); 0 takes a free one.',
  }),
  METRICS_HOST: text({ doc: 'Address on which the metrics are served (default: `HOST`).' }),
  QUEUE_UI_PORT: portOrOff({
    doc: "Port of the queue's UI (bull-board, read-only) in the worker; without it, or with `off`, there is no UI; 0 takes a free one.",
  }),
  QUEUE_UI_HOST: text({ doc: 'Address on which the queue UI is served (default: `HOST`).' }),
  QUEUE_UI_USER: text({
    fallback: 'operator',
    check(value) {
      if (value.includes(':')) throw new Error('must have no colon');
    },
    doc: 'User name of the queue UI.',
  }),
  QUEUE_UI_PASSWORD: text({
    secret: true,
    check(value) {
      if (value.length < 12) throw new Error('must have at least 12 characters');
    },
    doc: 'Password of that user (HTTP Basic), at least 12 characters; required with `QUEUE_UI_PORT`.',
  }),
  ...TRACING_VARIABLES,
  LOG_LEVEL: choice({
    values: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    fallback: 'info',
    doc: 'The lowest severity in the log.',
  }),
  SHUTDOWN_DELAY: duration({
    min: '0ms',
    max: '5m',
    fallback: '5s',
    doc:
      'Time after SIGTERM in which the API still accepts requests and `/health/ready` returns 503, so that ' +
      'balancers stop sending first.',
  }),
  SHUTDOWN_TIMEOUT: duration({
    min: '1s',
    max: '10m',
    fallback: '20s',
    doc: 'Time limit for requests and deliveries in flight after that.',
  }),
} as const;
