/**
 * The permissions of the product and the built-in roles that have them. The platform names no permission: a feature
 * adds its names to {@link PermissionNames} and declares them in its own `*.permissions.ts`, which the feature's
 * controllers reach. A route that asks for an undeclared permission stops the start
 * (`http/requests/route-permissions`).
 */

/**
 * The names of all permissions. Features extend it: `declare module '…/permissions' { interface PermissionNames {
 * 'reports:read': true } }`.
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- extended by the features
export interface PermissionNames {}

/** A permission of a credential, such as `reports:read`. */
export type Permission = keyof PermissionNames;

/** The roles that every tenant has, the most powerful first. */
export const BUILT_IN_ROLES = ['owner', 'admin', 'member', 'viewer'] as const;
export type BuiltInRole = (typeof BUILT_IN_ROLES)[number];

/** A feature's declaration of a permission. */
export interface PermissionDeclaration {
  /** The description of the permission, for the list of a role's permissions. */
  description: string;
  /** The built-in roles that have it, besides the owner, which has all. */
  roles: readonly Exclude<BuiltInRole, 'owner'>[];
  /** Whether a custom role may contain it; true if left out. */
  customRoles?: boolean;
  /** Whether an API key may have it as a scope; true if left out. */
  apiKeys?: boolean;
  /**
   * First words of the event types that only callers with the permission may see. They are reserved for the service,
   * and a subscription to all events does not cover them.
   */
  events?: readonly string[];
}

/** The declared permissions. Names are a live list: documents that refer to it include later declarations. */
export class PermissionRegistry {
  readonly names: Permission[] = [];
  private readonly declarations = new Map<string, PermissionDeclaration>();
  private readonly eventNamespaces = new Map<string, Permission>();
  private readonly ofRoles = new Map<BuiltInRole, ReadonlySet<Permission>>();
  private readonly lists = new Map<'customRoles' | 'apiKeys', Permission[]>([
    ['customRoles', []],
    ['apiKeys', []],
  ]);

  /** Adds the permissions of a feature. @throws when another feature has declared one of them */
  declare(declarations: { readonly [P in Permission]?: PermissionDeclaration }): void {
    for (const [name, declaration] of Object.entries(declarations) as [Permission, PermissionDeclaration][]) {
      if (this.declarations.has(name)) throw new Error(`the permission ${name} is declared twice`);
      this.declarations.set(name, declaration);
      this.names.push(name);
      for (const word of declaration.events ?? []) this.reserveEvents(word, name);
      for (const [kind, list] of this.lists) if (declaration[kind] ?? true) list.push(name);
    }
    this.ofRoles.clear();
  }

  has(name: string): name is Permission {
    return this.declarations.has(name);
  }

  descriptionOf(name: Permission): string {
    return this.declarations.get(name)?.description ?? '';
  }

  /** The permission that events of this type need by the first word of their name, if any. */
  ofEvent(type: string): Permission | undefined {
    const dot = type.indexOf('.');
    return dot === -1 ? undefined : this.eventNamespaces.get(type.slice(0, dot));
  }

  /** The first words, each with its dot, of the event types whose permission satisfies the condition. */
  eventsOf(condition: (permission: Permission) => boolean): string[] {
    return [...this.eventNamespaces].filter(([, permission]) => condition(permission)).map(([word]) => `${word}.`);
  }

  /** The permissions of a built-in role. */
  ofRole(role: BuiltInRole): ReadonlySet<Permission> {
    let permissions = this.ofRoles.get(role);
    if (!permissions) {
      permissions = new Set(
        this.names.filter((name) => role === 'owner' || this.declarations.get(name)?.roles.includes(role)),
      );
      this.ofRoles.set(role, permissions);
    }
    return permissions;
  }

  private reserveEvents(word: string, permission: Permission): void {
    if (this.eventNamespaces.has(word)) throw new Error(`the events ${word}.* have two permissions`);
    this.eventNamespaces.set(word, permission);
  }

  /** The permissions that a custom role may contain, or an API key may have as a scope: a live list too. */
  allowedIn(kind: 'customRoles' | 'apiKeys'): readonly Permission[] {
    return this.lists.get(kind) as Permission[];
  }
}

/** Every permission that a loaded feature has declared. */
export const PERMISSIONS = new PermissionRegistry();

/** Whether the name is one of the roles that every tenant has. */
export function isBuiltInRole(name: string): name is BuiltInRole {
  return (BUILT_IN_ROLES as readonly string[]).includes(name);
}

/**
 * The permissions of a tenant's role. `custom` is the stored list of a custom role; a stored permission that is no
 * longer declared, or no longer allowed in a custom role, has no effect.
 */
export function permissionsOfRole(role: string, custom: readonly string[] | null): ReadonlySet<Permission> {
  if (isBuiltInRole(role)) return PERMISSIONS.ofRole(role);
  const allowed = PERMISSIONS.allowedIn('customRoles') as readonly string[];
  return new Set((custom ?? []).filter((name): name is Permission => allowed.includes(name)));
}

/** Those of the wanted permissions that the holder lacks. */
export function lacking(holder: ReadonlySet<Permission>, wanted: Iterable<Permission>): Permission[] {
  return [...wanted].filter((permission) => !holder.has(permission));
}
