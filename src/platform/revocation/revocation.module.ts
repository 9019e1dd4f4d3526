/** Epochs of credentials: a change reaches every live credential in every process; see `epochs.ts`. */
import { Module } from '@nestjs/common';
import { EpochDatabase } from '../database/roles/epoch-database';
import { Epochs } from './epochs';

@Module({ providers: [EpochDatabase, Epochs], exports: [Epochs] })
export class RevocationModule {}
