/** Injection token of the sign-in role's connections: those of `SIGN_IN_DATABASE_URL`, or the service's without it. */
export const SIGN_IN_CONNECTIONS = Symbol('SIGN_IN_CONNECTIONS');
