import { type DynamicModule, Module } from '@nestjs/common';
import { KeysDatabase } from '../database/roles/keys-database';
import { EncryptionKeyCheck } from './key-check';
import { SAMPLED_COLUMNS, type SampledColumn } from './sampled-column';
import { SecretBoxModule } from './secret-box.module';

/** Has a process compare its encryption keys with the database when it starts. */
@Module({})
export class EncryptionKeyCheckModule {
  static register(columns: readonly SampledColumn[]): DynamicModule {
    return {
      module: EncryptionKeyCheckModule,
      imports: [SecretBoxModule],
      providers: [KeysDatabase, EncryptionKeyCheck, { provide: SAMPLED_COLUMNS, useValue: columns }],
    };
  }
}
