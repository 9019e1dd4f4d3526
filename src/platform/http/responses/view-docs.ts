/** The common parts of all features' views: pages, versions and times. */
import type { Type } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';

/** The version of a resource. */
export const VERSION_DOC = {
  type: 'integer',
  minimum: 1,
  description: 'Grows with each change; the `ETag` is derived from it.',
  example: 1,
} as const;

/** When a resource was made, and when it was last changed. */
export const CREATED_AT_DOC = {
  format: 'date-time',
  description: 'When it was created.',
  example: '2026-01-31T12:00:00.000Z',
} as const;
export const UPDATED_AT_DOC = { ...CREATED_AT_DOC, description: 'When it was last changed.' } as const;

/** A page of a list, see `JsonPage`. */
interface Page<T> {
  data: T[];
  next_cursor: string | null;
  has_more: boolean;
}

/** The class that describes a page of these views; a feature extends it to give it a name. */
export function pageOf<T>(view: Type<T>, doc: { description: string; maxItems?: number }): Type<Page<T>> {
  class PageOfViews implements Page<T> {
    @ApiProperty({ type: [view], ...doc })
    data: T[];

    @ApiProperty({
      type: 'string',
      nullable: true,
      maxLength: 200,
      description: 'The `cursor` of the next page; null on the last one.',
      example: 'AZjA3noRcACAAAAAAAAAAXV4c0RRd2lXa1pXb3BBQUE',
    })
    next_cursor: string | null;

    @ApiProperty({ description: 'Whether there is a next page.', example: true })
    has_more: boolean;
  }
  return PageOfViews;
}
