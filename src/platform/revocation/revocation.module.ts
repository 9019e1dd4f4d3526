/** Epochs of credentials: a change reaches every live credential in every process; see `epochs.ts`. */
import { Global, Module } from '@nestjs/common';
import { EpochDatabase } from '../database/roles/epoch-database';
import { Epochs } from './epochs';

@Global()
@Module({ providers: [EpochDatabase, Epochs], exports: [Epochs] })
export class RevocationModule {}
