import { getMetadataArgsStorage } from 'typeorm';

/** A row that is selected by {@link columnsOf}: the result of a repository, without the class. */
export type RowOf<Entity> = { [Name in keyof Entity]: Entity[Name] };

/**
 * The columns of an entity as a select list, by their names in the entity: for statements that go out without a
 * repository, so that an entity has one list of columns and its rows have one form.
 */
export function columnsOf(entity: new () => object): string {
  const classes = new Set<unknown>();
  for (let type: unknown = entity; typeof type === 'function' && type !== Function.prototype;)
    classes.add(type).add((type = Object.getPrototypeOf(type) as unknown));
  const columns = getMetadataArgsStorage().columns.filter(({ target }) => classes.has(target));
  if (columns.length === 0) throw new Error(`${entity.name} is no entity`);
  return columns
    .map(({ propertyName, options }) =>
      options.name === undefined ? propertyName : `${options.name} as "${propertyName}"`,
    )
    .join(', ');
}
