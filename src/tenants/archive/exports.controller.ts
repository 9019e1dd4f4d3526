import { Readable } from 'node:stream';
import { Controller, Get, Headers, HttpCode, Param, Post, Req, Res } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiProblem, ApiSection } from '../../platform/http/openapi/declarations';
import { type Caller, CurrentCaller, NoApiKeys, Requires, StepUp } from '../../platform/http/requests/caller';
import { ResourceId } from '../../platform/http/requests/resource-id.pipe';
import { NoBody } from '../../platform/http/requests/validation.pipe';
import { Idempotent, type IdempotentRequest, sendResponse } from '../../platform/http/responses/idempotency';
import { sendResource } from '../../platform/http/responses/json-response';
import { TenantExportView } from './exports.dto';
import { ExportsService } from './exports.service';

/** A reader that takes nothing of an archive for this long is disconnected. */
const STALLED_ARCHIVE_MS = 120_000;
const ExportId = () => Param('id', new ResourceId('Export'));

@ApiSection('Tenant', 'The company: its name, its policies, what it uses.')
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
    description: 'For owners. All that the tenant has, but for secrets; the archive can be read for 7 days.',
  })
  @ApiAcceptedResponse({ type: TenantExportView, description: 'The export.' })
  @ApiProblem('forbidden', 'Exports are for owners.')
  @ApiProblem('business_rule_violation', 'A tenant has at most 10 exports at a time.')
  async create(
    @CurrentCaller() caller: Caller,
    @NoBody() _none: undefined,
    @Idempotent() request: IdempotentRequest | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    sendResponse(reply, await this.exports.create(caller, request));
  }

  @Get(':id')
  @Requires('tenant:manage')
  @ApiOperation({ operationId: 'getTenantExport', summary: 'Get an export', description: 'For owners.' })
  @ApiOkResponse({ type: TenantExportView, description: 'The export.' })
  @ApiProblem('forbidden', 'Exports are for owners.')
  async find(
    @CurrentCaller() caller: Caller,
    @ExportId() id: string,
    @Headers('if-none-match') ifNoneMatch: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    sendResource(reply, await this.exports.find(caller, id), ifNoneMatch);
  }

  @Get(':id/archive')
  @Requires('tenant:manage')
  @RouteConfig({ produces: ['application/gzip'] })
  @ApiOperation({
    operationId: 'readTenantArchive',
    summary: "Read an export's archive",
    description:
      'For owners. A tar.gz that is made while it is read: a folder for each table with numbered files of NDJSON, and ' +
      '`manifest.json` last, which shows that nothing is missing. Rows that are written meanwhile may be in it.',
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
  async archive(
    @CurrentCaller() caller: Caller,
    @ExportId() id: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    // Fastify would read the whole stream to answer a HEAD.
    const isHead = request.method === 'HEAD';
    const stream = isHead ? Readable.from([]) : await this.exports.read(caller, id);
    if (isHead) await this.exports.get(caller, id);
    reply.raw.setTimeout(STALLED_ARCHIVE_MS);
    void reply
      .header('content-type', 'application/gzip')
      .header('content-disposition', `attachment; filename="tenant-${caller.tenantId}.tar.gz"`)
      .send(stream);
  }
}
