/**
 * Exports of tenants. An owner requests an *export*, and reads its *archive* until it expires: a tar.gz that is created
 * while it is read, of *parts* that the features' tables declare. Invariants: rows of one tenant alone, and no secret;
 * no more memory for a larger tenant; a truncated archive is recognizable.
 */
import { type DynamicModule, Module } from '@nestjs/common';
import { MembersDatabase } from '../../platform/database/roles/members-database';
import type { TenantTable } from '../../platform/database/sql/tables';
import { HttpPlatformModule } from '../../platform/http/http.module';
import { TENANT_TABLES } from '../tenant-tables';
import { ExportsController } from './exports.controller';
import { ExportsService } from './exports.service';
import { TenantArchive } from './tenant-archive';
import { AuditPlatformModule } from '../../platform/audit/audit.module';

@Module({})
export class TenantArchiveModule {
  static forRoot(tables: readonly TenantTable[]): DynamicModule {
    return {
      module: TenantArchiveModule,
      imports: [AuditPlatformModule, HttpPlatformModule],
      controllers: [ExportsController],
      providers: [ExportsService, MembersDatabase, TenantArchive, { provide: TENANT_TABLES, useValue: tables }],
    };
  }
}
