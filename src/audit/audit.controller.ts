import { AuditEntryView } from './audit-entry.views';
import { Controller, Get, Param, Query } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import { ApiOkResponse, ApiOperation, getSchemaPath } from '@nestjs/swagger';
import { ApiProblem, ApiSection } from '../platform/http/openapi/declarations';
import { type Caller, CurrentCaller, Requires } from '../platform/http/requests/caller';
import { ResourceId } from '../platform/http/requests/resource-id.pipe';
import { Download, type JsonPage } from '../platform/http/responses/results';
import { AuditExport } from './audit-export';
import * as requests from './audit.requests';
import * as views from './audit.views';
import { AuditService } from './audit.service';
import './audit.permissions';

const NDJSON_EXAMPLE =
  '{"id":"0198c0de-7a11-7000-8000-0000000000e1","occurred_at":"2026-01-31T12:00:00.000Z","actor":{"type":"user",' +
  '"id":"0198c0de-7a11-7000-8000-0000000000aa"},"action":"order.status_changed","target":{"type":"order",' +
  '"id":"0198c0de-7a11-7000-8000-000000000001"},"changes":{"status":["pending","confirmed"]},"network":"203.0.113.9",' +
  '"user_agent":"curl/8.5.0","request_id":"7f5b3c1e-0d2a-4c6b-9e8f-1a2b3c4d5e6f","session_id":null,' +
  '"outcome":"success","count":1}\n';
const CSV_EXAMPLE =
  'id,occurred_at,actor_type,actor_id,actor_email,actor_via,action,target_type,target_id,changes,network,user_agent,' +
  'request_id,session_id,outcome,count\r\n';

@ApiSection(
  'Audit log',
  'The actions in the tenant, which its administrators can read, export, and verify for completeness.',
)
@Controller('audit-log')
export class AuditController {
  constructor(
    private readonly audit: AuditService,
    private readonly exports: AuditExport,
  ) {}

  @Get()
  @Requires('audit:read')
  @ApiOperation({
    operationId: 'listAuditEntries',
    summary: 'List audit entries',
    description: 'Newest first. Each entry was written in the transaction of its change.',
  })
  @ApiOkResponse({ type: views.AuditPage, description: 'A page.' })
  list(@CurrentCaller() caller: Caller, @Query() query: requests.ListAuditDto): Promise<JsonPage> {
    return this.audit.list(caller, query);
  }

  @Get('export')
  @Requires('audit:read')
  @RouteConfig({ produces: ['application/x-ndjson', 'text/csv', 'application/json'] })
  @ApiOperation({
    operationId: 'exportAuditEntries',
    summary: 'Export audit entries',
    description:
      'All entries of the filters as a stream, newest first. CSV cells are written as in the export of orders.',
  })
  @ApiOkResponse({
    description: 'The entries.',
    content: {
      'application/x-ndjson': {
        schema: {
          type: 'string',
          description: 'One entry per line, in the form of the list.',
          maxLength: 1_000_000_000,
          contentMediaType: 'application/json',
          contentSchema: { $ref: getSchemaPath(AuditEntryView) },
        } as object,
        example: NDJSON_EXAMPLE,
      },
      'text/csv': { schema: { type: 'string', maxLength: 1_000_000_000 }, example: CSV_EXAMPLE },
    },
  })
  @ApiProblem('rate_limited', 'Too many exports at once.')
  export(@CurrentCaller() caller: Caller, @Query() query: requests.ExportAuditDto): Download {
    const type =
      query.format === 'csv' ? 'text/csv; charset=utf-8; header=present' : 'application/x-ndjson; charset=utf-8';
    return new Download(`audit-log.${query.format}`, type, () => this.exports.stream(caller, query));
  }

  @Get('checkpoint')
  @Requires('audit:read')
  @ApiOperation({
    operationId: 'getAuditCheckpoint',
    summary: 'Get the newest checkpoint',
    description: 'The signed head of the tree. Keep it elsewhere: a truncated log no longer matches it.',
  })
  @ApiOkResponse({ type: views.AuditCheckpointView, description: 'The checkpoint.' })
  @ApiProblem('business_rule_violation', 'The log has no checkpoint yet.')
  checkpoint(@CurrentCaller() caller: Caller): Promise<views.AuditCheckpointView> {
    return this.audit.checkpoint(caller);
  }

  @Get('consistency')
  @Requires('audit:read')
  @ApiOperation({
    operationId: 'getAuditConsistency',
    summary: 'Prove that a later tree begins with an earlier one',
    description: 'Proves that the log of the first size is an unchanged part of the log of the second size.',
  })
  @ApiOkResponse({ type: views.AuditConsistencyProofView, description: 'The proof.' })
  @ApiProblem('business_rule_violation', 'A size is out of range.')
  consistency(
    @CurrentCaller() caller: Caller,
    @Query() query: requests.ConsistencyDto,
  ): Promise<views.AuditConsistencyProofView> {
    return this.audit.consistency(caller, query.from, query.to);
  }

  @Get(':id/proof')
  @Requires('audit:read')
  @ApiOperation({
    operationId: 'getAuditProof',
    summary: 'Prove that an entry is in the tree',
    description:
      'With a checkpoint of that size and the public key it proves that the log contains the entry unchanged.',
  })
  @ApiOkResponse({ type: views.AuditProofView, description: 'The proof.' })
  @ApiProblem('business_rule_violation', 'The tree does not contain the entry yet, or the size is out of range.')
  proof(
    @CurrentCaller() caller: Caller,
    @Param('id', new ResourceId('Entry')) id: string,
    @Query() query: requests.ProofDto,
  ): Promise<views.AuditProofView> {
    return this.audit.proof(caller, id, query.size);
  }
}
