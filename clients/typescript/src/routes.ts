// Generated from the OpenAPI document by `npm run client`: not to be edited.

/** Paths whose POST takes an `Idempotency-Key`. */
export const KEYED_POSTS: ReadonlySet<string> = new Set([
  '/api/v1/tenants',
  '/api/v1/invitations',
  '/api/v1/roles',
  '/api/v1/tenant/exports',
  '/api/v1/api-keys',
  '/api/v1/api-keys/{id}/rotate',
  '/api/v1/orders',
  '/api/v1/orders/batch',
  '/api/v1/webhooks/endpoints',
  '/api/v1/webhooks/endpoints/{id}/rotate-secret',
  '/api/v1/webhooks/endpoints/{id}/test',
  '/api/v1/webhooks/events',
]);

/** Paths that take no credential. */
export const OPEN_PATHS: ReadonlySet<string> = new Set([
  '/',
  '/health',
  '/health/live',
  '/health/ready',
  '/api/v1/auth/invitations/preview',
  '/api/v1/auth/login',
  '/api/v1/auth/refresh',
  '/api/v1/auth/logout',
  '/api/v1/auth/register',
  '/api/v1/auth/verify-email/resend',
  '/api/v1/auth/password/forgot',
  '/api/v1/auth/password/reset',
  '/api/v1/auth/email/undo',
  '/api/v1/auth/second-factor',
  '/.well-known/audit-keys.json',
  '/openapi.json',
  '/openapi.yaml',
  '/docs',
  '/docs/{file}',
]);
