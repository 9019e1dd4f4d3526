/**
 * The database roles of requests and background work. None owns a table or bypasses row-level security. The policies in
 * the migrations define the visible rows of each; `test/golden/tenancy-exceptions.json` lists the roles that see rows
 * of several tenants.
 */
export const DB_ROLES = {
  /** Serves requests: sees the rows of the tenant in `app.tenant_id` and nothing else. */
  service: 'app_service',
  /** Runs before a tenant is known: users by e-mail address, memberships of the user in `app.user_id`. */
  signIn: 'app_sign_in',
  /** Deletes expired rows of every tenant, and can read nothing else. */
  janitor: 'app_janitor',
  /** Finds the tenants with events in the outbox, and cannot read the events. */
  relay: 'app_relay',
  /** Finds waiting rows of every tenant and their due times. */
  dispatcher: 'app_dispatcher',
  /** Compares the epochs of live credentials, of every tenant, and sees nothing else. */
  epochs: 'app_epochs',
  /** Reads the addresses and names of the members of the tenant in `app.tenant_id`. */
  members: 'app_members',
  /** Builds the trees of the audit logs, and carries out erasures in them; changes no entry. */
  audit: 'app_audit',
  /** Sends mails: sees the waiting mails of every tenant, with encrypted content. */
  mail: 'app_mail',
  /** Erases tenants that closed 30 days ago, in the tables that the role of requests cannot erase. */
  eraser: 'app_eraser',
  /** Compares the encryption keys with the values that they have encrypted; sees encrypted values of every tenant. */
  keys: 'app_keys',
  /** Finds the API keys that expire soon, of every tenant; sees only their ids and times. */
  keyExpiry: 'app_key_expiry',
} as const;

/**
 * Lists, suspends and resumes tenants, for the operator's commands. It is not listed above on purpose: no serving
 * process can take it on, since the service's login is no member of it.
 */
export const OPERATOR_ROLE = 'app_operator';

export type RoleName = (typeof DB_ROLES)[keyof typeof DB_ROLES];
