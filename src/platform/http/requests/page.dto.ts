import { CursorField, PageLimitField } from './fields';

/** The page of a list; lists with filters extend it. */
export class PageDto {
  @PageLimitField()
  limit: number = 20;

  @CursorField()
  cursor?: string;
}
