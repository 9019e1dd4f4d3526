import { Controller, Get, HttpCode, Param, Post } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { RouteConfig } from '@nestjs/platform-fastify';
import { ApiProblem, ApiSection } from '../../platform/http/openapi/declarations';
import { type Caller, CurrentCaller, NoApiKeys, Requires, StepUp } from '../../platform/http/requests/caller';
import { ResourceId } from '../../platform/http/requests/resource-id.pipe';
import { NoBody } from '../../platform/http/requests/validation.pipe';
import { Conditional } from '../../platform/http/responses/conditional-requests';
import { Idempotent, type IdempotentRequest } from '../../platform/http/responses/idempotency';
import type { Download, Representation, WriteResult } from '../../platform/http/responses/results';
import { TenantExportView } from './exports.views';
import { ExportsService } from './exports.service';

const ExportId = () => Param('id', new ResourceId('Export'));

@ApiSection('Tenant', 'The company: its name, its policies, its usage.')
@Controller('tenant/exports')
@NoApiKeys()
export class ExportsController {
  constructor(private readonly exports: ExportsService) {}

  @Post()
  @Requires('tenant:manage')
  @StepUp()
  @HttpCode(202)
  @ApiOperation({
    operationId: 'createTenantExport',
    summary: 'Export the tenant',
    description: 'For owners. All data of the tenant except secrets; the archive can be read for 7 days.',
  })
  @ApiAcceptedResponse({ type: TenantExportView, description: 'The export.' })
  @ApiProblem('forbidden', 'Exports are for owners.')
  @ApiProblem('business_rule_violation', 'A tenant has at most 10 exports at a time.')
  create(
    @CurrentCaller() caller: Caller,
    @NoBody() _none: undefined,
    @Idempotent() request: IdempotentRequest | undefined,
  ): Promise<WriteResult> {
    return this.exports.create(caller, request);
  }

  @Get(':id')
  @Requires('tenant:manage')
  @Conditional()
  @ApiOperation({ operationId: 'getTenantExport', summary: 'Get an export', description: 'For owners.' })
  @ApiOkResponse({ type: TenantExportView, description: 'The export.' })
  @ApiProblem('forbidden', 'Exports are for owners.')
  find(@CurrentCaller() caller: Caller, @ExportId() id: string): Promise<Representation> {
    return this.exports.find(caller, id);
  }

  @Get(':id/archive')
  @Requires('tenant:manage')
  @RouteConfig({ produces: ['application/gzip'] })
  @ApiOperation({
    operationId: 'readTenantArchive',
    summary: "Read an export's archive",
    description:
      'For owners. A tar.gz that is created while it is read: a folder for each table with numbered files of ' +
      'NDJSON, and `manifest.json` last, which proves completeness. Rows that are written meanwhile may be ' +
      'included.',
  })
  @ApiOkResponse({
    description: 'The archive.',
    content: {
      'application/gzip': {
        schema: { type: 'string', format: 'binary', maxLength: 1_000_000_000_000 },
        example: 'the bytes of a tar.gz',
      },
    },
  })
  @ApiProblem('forbidden', 'Exports are for owners.')
  @ApiProblem('rate_limited', 'Too many archives are read at once; try again.')
  archive(@CurrentCaller() caller: Caller, @ExportId() id: string): Promise<Download> {
    return this.exports.read(caller, id);
  }
}
