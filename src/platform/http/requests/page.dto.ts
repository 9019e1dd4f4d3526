import { CursorField, QueryIntegerField } from './fields';

/** The most entries on a page. */
export const MAX_PAGE = 100;

/** The page of a list; lists with filters extend it. */
export class PageDto {
  @QueryIntegerField({
    description: 'Entries on a page.',
    min: 1,
    max: MAX_PAGE,
    default: 20,
    optional: true,
    example: 20,
  })
  limit: number = 20;

  @CursorField()
  cursor?: string;
}
