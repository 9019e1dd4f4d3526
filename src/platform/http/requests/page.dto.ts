import { CursorField, QueryIntegerField } from './fields';

/** The page of a list; lists with filters extend it. */
export class PageDto {
  @QueryIntegerField({ description: 'Entries on a page.', min: 1, max: 100, default: 20, optional: true, example: 20 })
  limit: number = 20;

  @CursorField()
  cursor?: string;
}

/** Descriptions of `next_cursor` and `has_more`. */
export const NEXT_CURSOR_DOC = {
  type: 'string',
  nullable: true,
  maxLength: 200,
  description: 'Goes into `cursor` for the next page; null on the last one.',
  example: 'AZjA3noRcACAAAAAAAAAAXV4c0RRd2lXa1pXb3BBQUE',
} as const;
export const HAS_MORE_DOC = { description: 'Whether there is a next page.', example: true };
