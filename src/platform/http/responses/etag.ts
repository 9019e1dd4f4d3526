import { createHash } from 'node:crypto';
import { MalformedRequest, VersionConflict } from '../../errors';

/** The strong entity tag (RFC 9110) of a resource at a version. */
export function etagOf(version: number): string {
  return `"${version}"`;
}

/** The strong entity tag of a resource without a version: a hash of its bytes. */
export function etagOfContent(json: string): string {
  return `"${createHash('sha256').update(json).digest().readBigUInt64BE()}"`;
}

/** The longest `If-Match` or `If-None-Match` that is read. */
const MAX_CONDITION_LENGTH = 1024;
/** One entity tag of a list (RFC 9110, 8.8.3): its quoted text may contain commas. */
const TAG = /\s*(?:(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"|\*)\s*(?:,|$)/y;

/** Whether `If-None-Match` names this tag (weak comparison), so that a GET may return 304. @throws MalformedRequest */
export function isNotModified(ifNoneMatch: string | undefined, etag: string): boolean {
  return ifNoneMatch !== undefined && names('If-None-Match', ifNoneMatch, etag);
}

/**
 * Checks `If-Match`. The weak form of a tag counts as the tag: proxies that compress create it from the strong one, and
 * the tags name a version and not bytes.
 * @throws VersionConflict when the header exists and does not contain this tag; MalformedRequest when it is no list of
 * tags
 */
export function assertMatch(ifMatch: string | undefined, etag: string): void {
  if (ifMatch !== undefined && !names('If-Match', ifMatch, etag)) throw new VersionConflict();
}

function names(header: string, value: string, etag: string): boolean {
  return tagsOf(header, value).some((tag) => tag === '*' || tag.replace(/^W\//, '') === etag);
}

function tagsOf(header: string, value: string): string[] {
  if (value.length > MAX_CONDITION_LENGTH) {
    throw new MalformedRequest(`The ${header} header must have at most ${MAX_CONDITION_LENGTH} characters.`);
  }
  const tags: string[] = [];
  TAG.lastIndex = 0;
  while (TAG.lastIndex < value.length) {
    const match = TAG.exec(value);
    if (!match) throw new MalformedRequest(`The ${header} header must hold entity tags in quotes, such as "1".`);
    tags.push(match[0].replace(/,$/, '').trim());
  }
  if (tags.length === 0 || /,\s*$/.test(value)) {
    throw new MalformedRequest(`The ${header} header must hold entity tags in quotes, such as "1".`);
  }
  return tags;
}
