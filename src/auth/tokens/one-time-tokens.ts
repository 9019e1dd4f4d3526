import { createHash, randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { Transaction } from '../../platform/database/transaction';
import { TokenInvalid } from '../../platform/errors';
import { FailedProofs } from '../proofs/failed-proofs';
import {
  findNewest,
  insertToken,
  lockToken,
  type OneTimeTokenRow,
  spendToken,
  voidTokens,
  voidTokensSince,
} from './one-time-tokens.queries';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const TOKEN = /^ott_([0-9a-f]{32})_([A-Za-z0-9_-]{43})$/;

/** The purpose of a token in a mail, and its lifetime. */
const LIFETIME_MS = {
  /** Makes the account of a pending registration. */
  registration: 24 * HOUR_MS,
  /** Proves the mailbox of an account. */
  verification: 24 * HOUR_MS,
  reset: 30 * MINUTE_MS,
  /** In place of a reset beyond the allowance of its address: no mail has its text. */
  reset_not_sent: 30 * MINUTE_MS,
  email_change: 24 * HOUR_MS,
  email_undo: 72 * HOUR_MS,
} as const;

export type TokenKind = keyof typeof LIFETIME_MS;

/** A token that is live, by its text. */
export interface ParsedToken {
  subjectId: string;
  hash: Buffer;
}

/**
 * Tokens in mails. A token names its subject (a person, or a pending registration), under which its row is found, and
 * is otherwise 32 bytes of which only the hash is stored. Every method runs in a transaction of the sign-in role that
 * is bound to the subject.
 */
@Injectable()
export class OneTimeTokens {
  constructor(private readonly failures: FailedProofs) {}

  /** Makes a token. */
  issue(tx: Transaction, kind: TokenKind, subjectId: string, data: Record<string, unknown> = {}): string {
    const now = new Date();
    const token = `ott_${subjectId.replaceAll('-', '')}_${randomBytes(32).toString('base64url')}`;
    const expiresAt = new Date(now.getTime() + LIFETIME_MS[kind]);
    tx.defer(insertToken(subjectId, { hash: hashOf(token), kind, data, createdAt: now, expiresAt }));
    return token;
  }

  /** Makes a token, and voids those of its kind that came before. */
  async issueNewest(tx: Transaction, kind: TokenKind, subjectId: string, data: Record<string, unknown> = {}) {
    await this.void(tx, subjectId, [kind]);
    return this.issue(tx, kind, subjectId, data);
  }

  /** The subject that a token's text names. @throws TokenInvalid for a text of another form */
  parse(token: string): ParsedToken {
    const hex = TOKEN.exec(token)?.[1];
    if (hex === undefined) throw new TokenInvalid('one-time token of another form');
    const subjectId = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
    return { subjectId, hash: hashOf(token) };
  }

  /** Reads a live token and locks it; it stays valid. @throws TokenInvalid, also for one of another kind */
  async lock(tx: Transaction, token: ParsedToken, ...kinds: TokenKind[]): Promise<OneTimeTokenRow> {
    const [row] = await tx.query<OneTimeTokenRow>(lockToken(token.subjectId, token.hash, new Date()));
    return this.expectKind(token, row, kinds);
  }

  /** Uses a live token: of several concurrent uses, one succeeds. @throws TokenInvalid, also for one of another kind */
  async spend(tx: Transaction, token: ParsedToken, ...kinds: TokenKind[]): Promise<OneTimeTokenRow> {
    const [row] = await tx.query<OneTimeTokenRow>(spendToken(token.subjectId, token.hash, new Date()));
    return this.expectKind(token, row, kinds);
  }

  /** Voids the live tokens of some kinds. */
  async void(tx: Transaction, subjectId: string, kinds: readonly TokenKind[]): Promise<void> {
    await tx.query(voidTokens(subjectId, kinds, new Date()));
  }

  /** Voids the live tokens of a kind that were made at this time or later. */
  async voidSince(tx: Transaction, subjectId: string, kind: TokenKind, since: Date): Promise<void> {
    await tx.query(voidTokensSince(subjectId, kind, since, new Date()));
  }

  /** The data of the newest live token of a kind, and its creation time. */
  async newest(tx: Transaction, subjectId: string, kind: TokenKind) {
    const [row] = await tx.query<OneTimeTokenRow & { created_at: Date }>(findNewest(subjectId, kind, new Date()));
    return row;
  }

  /** A refused token counts in the log of a tenant of its person, if it names one. */
  private expectKind(
    { subjectId }: ParsedToken,
    row: OneTimeTokenRow | undefined,
    kinds: readonly TokenKind[],
  ): OneTimeTokenRow {
    if (row && (kinds as readonly string[]).includes(row.kind)) return row;
    this.failures.note({ userId: subjectId, action: 'token.refused' });
    throw new TokenInvalid('one-time token refused');
  }
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
