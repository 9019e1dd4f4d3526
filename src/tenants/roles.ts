/** The name of a role: a built-in one, or a custom role of the tenant. */
export type Role = string;
