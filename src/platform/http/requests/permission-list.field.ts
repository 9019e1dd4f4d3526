import type { ApiPropertyOptions } from '@nestjs/swagger';
import { type Permission, PERMISSIONS } from '../../permissions/permissions';
import type { FieldOptions } from './field-declaration';
import { ValueField } from './fields';

/** How a list of permissions in a response is described. */
export const PERMISSION_LIST_DOC = {
  type: 'array',
  items: { type: 'string', enum: PERMISSIONS.names as string[] },
  uniqueItems: true,
  maxItems: 50,
} satisfies ApiPropertyOptions;

/** A list of permissions, each once: those allowed in a custom role, or those allowed for an API key. */
export function PermissionListField(
  kind: 'customRoles' | 'apiKeys',
  options: FieldOptions & { min: number },
): PropertyDecorator {
  const allowed = PERMISSIONS.allowedIn(kind);
  return ValueField({
    ...options,
    api: {
      type: 'array',
      items: { type: 'string', enum: allowed as Permission[] },
      uniqueItems: true,
      minItems: options.min,
      maxItems: 50,
    } as ApiPropertyOptions,
    code: 'permissions',
    check: (value) => {
      if (!Array.isArray(value)) return 'must be a list';
      if (value.length < options.min) return `must have at least ${options.min} entry`;
      const unknown = value.findIndex((name) => !(allowed as readonly unknown[]).includes(name));
      if (unknown !== -1) return `must contain only ${allowed.join(', ')}; entry ${unknown} is another`;
      return new Set(value).size === value.length ? undefined : 'must contain each permission once';
    },
  });
}
