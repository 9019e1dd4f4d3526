import { Body, Controller, Get, Headers, Param, Patch, Post, Query } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import { ApiCreatedResponse, ApiOkResponse, ApiOperation, getSchemaPath } from '@nestjs/swagger';
import { type Caller, CurrentCaller, Requires } from '../platform/http/requests/caller';
import { Conditional, IfMatch, type Precondition } from '../platform/http/responses/conditional-requests';
import { Idempotent, type IdempotentRequest } from '../platform/http/responses/idempotency';
import { Download, type JsonPage, type Representation, type WriteResult } from '../platform/http/responses/results';
import { PageDto } from '../platform/http/requests/page.dto';
import { ApiProblem, ApiSection } from '../platform/http/openapi/declarations';
import { ResourceId } from '../platform/http/requests/resource-id.pipe';
import {
  ChangeStatusDto,
  CreateOrderDto,
  CreateOrdersDto,
  ExportOrdersDto,
  ListOrdersDto,
  UpdateOrderDto,
} from './orders.requests';
import { OrderBatchView, OrderEventPage, OrderPage, OrderView } from './orders.views';
import { exportFormat, MEDIA_TYPES } from './export-format';
import { OrdersExport } from './orders-export';
import { OrdersService } from './orders.service';

const BATCH_BODY_LIMIT = 8 * 1024 * 1024;
const CSV_EXAMPLE =
  'id,customer_id,status,total_amount,currency,notes,metadata,items,version,created_at,updated_at\r\n' +
  '0198c0de-7a11-7000-8000-000000000001,3f2a8c1e-5b7d-4e0f-9a6c-1d2e3f4a5b6c,pending,59.98,USD,,{},' +
  '"[{""id"":""0198c0de-7a11-7000-8000-000000000011"",""product_id"":""prod-1"",""product_name"":""Widget"",' +
  '""quantity"":2,""unit_price"":""29.99""}]",1,2026-01-31T12:00:00.000Z,2026-01-31T12:00:00.000Z\r\n';
const OrderId = () => Param('id', new ResourceId('Order'));

@ApiSection('Orders', 'Orders of customers: create, read, change, export. Amounts are exact decimals.')
@Controller('orders')
export class OrdersController {
  constructor(
    private readonly orders: OrdersService,
    private readonly exports: OrdersExport,
  ) {}

  @Post()
  @Requires('orders:write')
  @ApiOperation({
    operationId: 'createOrder',
    summary: 'Create an order',
    description: 'The order, its items and its history are written together. The total is exact.',
  })
  @ApiCreatedResponse({ type: OrderView, description: 'The order.' })
  create(
    @CurrentCaller() caller: Caller,
    @Body() body: CreateOrderDto,
    @Idempotent() request: IdempotentRequest | undefined,
  ): Promise<WriteResult> {
    return this.orders.create(caller, body, request);
  }

  @Post('batch')
  @Requires('orders:write')
  @RouteConfig({ bodyLimit: BATCH_BODY_LIMIT })
  @ApiOperation({
    operationId: 'createOrders',
    summary: 'Create up to 100 orders',
    description: 'In one transaction: all of them or none. Faults are named by index, such as `orders.1.currency`.',
  })
  @ApiCreatedResponse({ type: OrderBatchView, description: 'The orders.' })
  createBatch(
    @CurrentCaller() caller: Caller,
    @Body() body: CreateOrdersDto,
    @Idempotent() request: IdempotentRequest | undefined,
  ): Promise<WriteResult> {
    return this.orders.createBatch(caller, body.orders, request);
  }

  @Get()
  @Requires('orders:read')
  @ApiOperation({
    operationId: 'listOrders',
    summary: 'List orders',
    description: 'Newest first, by cursor: no order is skipped or repeated while orders are created.',
  })
  @ApiOkResponse({ type: OrderPage, description: 'A page.' })
  list(@CurrentCaller() caller: Caller, @Query() query: ListOrdersDto): Promise<JsonPage> {
    return this.orders.list(caller, query);
  }

  @Get('export')
  @Requires('orders:read')
  @RouteConfig({ produces: ['application/x-ndjson', 'text/csv', 'application/json'] })
  @ApiOperation({
    operationId: 'exportOrders',
    summary: 'Export orders',
    description:
      'All orders of the filters as a stream, newest first. CSV cells that a spreadsheet would execute begin ' +
      'with an apostrophe, and cells with a semicolon, a tab or a line break are quoted: LibreOffice, Google ' +
      'Sheets and Excel read them as one cell if the list separator is the comma. If it is the semicolon, ' +
      'import the file as separated by commas.',
  })
  @ApiOkResponse({
    description: 'The orders.',
    content: {
      'application/x-ndjson': {
        schema: {
          type: 'string',
          description: 'One order per line, in the form of `GET /orders/{id}`.',
          contentMediaType: 'application/json',
          contentSchema: { $ref: getSchemaPath(OrderView) },
        } as object,
      },
      'text/csv': {
        schema: {
          type: 'string',
          description:
            'RFC 4180 with a header line; `items` and `metadata` are cells of JSON, `notes` is empty for null.',
        },
        example: CSV_EXAMPLE,
      },
    },
  })
  export(
    @CurrentCaller() caller: Caller,
    @Query() query: ExportOrdersDto,
    @Headers('accept') accept: string | undefined,
  ): Download {
    const format = exportFormat(query.format, accept);
    return new Download(`orders.${format}`, MEDIA_TYPES[format], () => this.exports.stream(caller, query, format));
  }

  @Get(':id')
  @Requires('orders:read')
  @Conditional()
  @ApiOperation({ operationId: 'getOrder', summary: 'Get an order', description: 'With its items.' })
  @ApiOkResponse({ type: OrderView, description: 'The order.' })
  find(@CurrentCaller() caller: Caller, @OrderId() id: string): Promise<Representation> {
    return this.orders.find(caller, id);
  }

  @Patch(':id')
  @Requires('orders:write')
  @ApiOperation({
    operationId: 'updateOrder',
    summary: 'Change notes and metadata',
    description:
      'Metadata is merged; a null value removes its key. Without a difference the response is 200 with the same version.',
  })
  @ApiOkResponse({ type: OrderView, description: 'The changed order.' })
  update(
    @CurrentCaller() caller: Caller,
    @OrderId() id: string,
    @Body() body: UpdateOrderDto,
    @IfMatch() ifMatch: Precondition | undefined,
  ): Promise<Representation> {
    return this.orders.update(caller, id, body, ifMatch);
  }

  @Patch(':id/status')
  @Requires('orders:write')
  @ApiOperation({
    operationId: 'changeOrderStatus',
    summary: 'Change the status',
    description:
      'pending → confirmed, cancelled; confirmed → processing, cancelled; processing → completed, cancelled. Exactly ' +
      'one of two concurrent changes succeeds.',
  })
  @ApiOkResponse({ type: OrderView, description: 'The changed order.' })
  @ApiProblem('business_rule_violation', 'Cannot transition from completed to pending')
  changeStatus(
    @CurrentCaller() caller: Caller,
    @OrderId() id: string,
    @Body() body: ChangeStatusDto,
    @IfMatch() ifMatch: Precondition | undefined,
  ): Promise<Representation> {
    return this.orders.changeStatus(caller, id, body.status, ifMatch);
  }

  @Get(':id/events')
  @Requires('orders:read')
  @ApiOperation({ operationId: 'listOrderEvents', summary: "List an order's history", description: 'Newest first.' })
  @ApiOkResponse({ type: OrderEventPage, description: 'A page.' })
  history(@CurrentCaller() caller: Caller, @OrderId() id: string, @Query() query: PageDto): Promise<JsonPage> {
    return this.orders.history(caller, id, query);
  }
}
