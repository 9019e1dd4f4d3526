import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { SignInDatabase } from '../../platform/database/roles/sign-in-database';
import type { Transaction } from '../../platform/database/transaction';
import { hashPassword, verifyPassword } from '../sign-in/passwords';
import * as queries from './second-factor.queries';
import { base32 } from './totp-code';

const CODES = 10;
const CODE_BYTES = 10;
/** The place of the code, then 80 random bits; people write them with blanks, hyphens and small letters. */
const CODE = /^([0-9])([A-Z2-7]{16})$/;

/** Codes for a person without the second factor: each once. Kept under argon2id, since 80 bits can be tried. */
@Injectable()
export class RecoveryCodes {
  constructor(private readonly database: SignInDatabase) {}

  /** Ten new codes with their hashes, one hash at a time: they must not take every thread of the process. */
  async make(): Promise<{ codes: string[]; hashes: string[] }> {
    const codes: string[] = [];
    const hashes: string[] = [];
    for (let position = 0; position < CODES; position++) {
      const secret = base32(randomBytes(CODE_BYTES));
      codes.push(`${position}-${secret.match(/.{4}/g)?.join('-')}`);
      hashes.push(await hashPassword(secret));
    }
    return { codes, hashes };
  }

  /** Puts new codes in the place of the old ones. */
  store(tx: Transaction, userId: string, hashes: readonly string[], now: Date): void {
    tx.defer(queries.removeCodes(userId));
    for (const [position, hash] of hashes.entries()) tx.defer(queries.insertCode(userId, position, hash, now));
  }

  /** Uses a code. @returns the number of remaining codes, or undefined if it is wrong or was used */
  async use(userId: string, text: string, now: Date): Promise<number | undefined> {
    const [, place, secret = ''] = CODE.exec(text.toUpperCase().replaceAll(/[\s-]/g, '')) ?? [];
    const position = place === undefined ? -1 : Number(place);
    const [row] = await this.database.transaction({ userId }, (tx) =>
      tx.query<{ hash: string }>(queries.findCode(userId, position)),
    );
    if (!(await verifyPassword(row?.hash, secret)) || !row) return undefined;
    return this.database.transaction({ userId }, async (tx) => {
      const used = await tx.query(queries.useCode(userId, position, row.hash, now));
      if (used.length === 0) return undefined;
      const [left] = await tx.query<{ count: number }>(queries.countCodes(userId));
      return left?.count ?? 0;
    });
  }
}
