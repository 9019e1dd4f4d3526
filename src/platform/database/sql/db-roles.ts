/**
 * The roles that requests and background work run as. None owns a table or bypasses row-level security; what each
 * may see is in the policies of the migrations, and the few that see more than one tenant's rows are listed in
 * `test/golden/tenancy-exceptions.json`.
 */
export const DB_ROLES = {
  /** Serves requests: sees the rows of the tenant in `app.tenant_id` and nothing else. */
  service: 'app_service',
  /** Runs before a tenant is known: users by e-mail address, memberships of the user in `app.user_id`. */
  signIn: 'app_sign_in',
  /** Deletes what has expired, of every tenant, and can read nothing else. */
  janitor: 'app_janitor',
  /** Finds out which tenants have events in the outbox, and sees nothing of the events. */
  relay: 'app_relay',
  /** Finds out which endpoints have deliveries waiting, and until when. */
  dispatcher: 'app_dispatcher',
  /** Compares the epochs of live credentials, of every tenant, and sees nothing else. */
  epochs: 'app_epochs',
  /** Reads the addresses and names of the members of the tenant in `app.tenant_id`. */
  members: 'app_members',
  /** Builds the trees of the audit logs, and carries out erasures in them; changes no entry. */
  audit: 'app_audit',
  /** Sends mails: sees those that wait, of every tenant, with their content sealed. */
  mail: 'app_mail',
} as const;

/**
 * Lists, suspends and resumes tenants, for the operator's commands. Not one of the above on purpose: no process that serves
 * can take it on, since the service's login is no member of it.
 */
export const OPERATOR_ROLE = 'app_operator';

export type RoleName = (typeof DB_ROLES)[keyof typeof DB_ROLES];
