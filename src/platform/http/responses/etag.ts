import { createHash } from 'node:crypto';
import { VersionConflict } from '../../errors';

/** The strong entity tag (RFC 9110) of a resource at a version. */
export function etagOf(version: number): string {
  return `"${version}"`;
}

/** The strong entity tag of a resource without a version: a hash of its bytes. */
export function etagOfContent(json: string): string {
  return `"${createHash('sha256').update(json).digest().readBigUInt64BE()}"`;
}

/** Whether `If-None-Match` names this tag (weak comparison), so that a GET may return 304. */
export function isNotModified(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  return tagsOf(ifNoneMatch).some((tag) => tag === '*' || tag.replace(/^W\//, '') === etag);
}

/** Checks `If-Match` (strong comparison). @throws VersionConflict when it is given and does not name this tag. */
export function assertMatch(ifMatch: string | undefined, etag: string): void {
  if (ifMatch === undefined) return;
  if (!tagsOf(ifMatch).some((tag) => tag === '*' || tag === etag)) throw new VersionConflict();
}

function tagsOf(header: string): string[] {
  return header.split(',').map((tag) => tag.trim());
}
