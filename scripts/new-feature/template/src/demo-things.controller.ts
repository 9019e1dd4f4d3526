import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { ApiSection } from '../platform/http/openapi/declarations';
import { type Caller, CurrentCaller, Requires } from '../platform/http/requests/caller';
import { ResourceId } from '../platform/http/requests/resource-id.pipe';
import { Conditional, IfMatch, type Precondition } from '../platform/http/responses/conditional-requests';
import { Idempotent, type IdempotentRequest } from '../platform/http/responses/idempotency';
import type { JsonPage, Representation, WriteResult } from '../platform/http/responses/results';
import { CreateDemoThingDto, ListDemoThingsDto, UpdateDemoThingDto } from './demo-things.requests';
import { DemoThingsService } from './demo-things.service';
import { DemoThingPage, DemoThingView } from './demo-things.views';

const DemoThingId = () => Param('id', new ResourceId('DemoThing'));

@ApiSection('Demo things', 'The demo things of a tenant.')
@Controller('demo-things')
export class DemoThingsController {
  constructor(private readonly demoThings: DemoThingsService) {}

  @Post()
  @Requires('demo_things:write')
  @ApiOperation({
    operationId: 'createDemoThing',
    summary: 'Create a demo thing',
    description: 'The demo thing, its event and its audit entry are written together.',
  })
  @ApiCreatedResponse({ type: DemoThingView, description: 'The demo thing.' })
  create(
    @CurrentCaller() caller: Caller,
    @Body() body: CreateDemoThingDto,
    @Idempotent() request: IdempotentRequest | undefined,
  ): Promise<WriteResult> {
    return this.demoThings.create(caller, body, request);
  }

  @Get()
  @Requires('demo_things:read')
  @ApiOperation({
    operationId: 'listDemoThings',
    summary: 'List demo things',
    description: 'Newest first, by cursor: nothing is skipped or repeated while demo things are being created.',
  })
  @ApiOkResponse({ type: DemoThingPage, description: 'A page.' })
  list(@CurrentCaller() caller: Caller, @Query() query: ListDemoThingsDto): Promise<JsonPage> {
    return this.demoThings.list(caller, query);
  }

  @Get(':id')
  @Requires('demo_things:read')
  @Conditional()
  @ApiOperation({ operationId: 'getDemoThing', summary: 'Get a demo thing', description: 'With its version.' })
  @ApiOkResponse({ type: DemoThingView, description: 'The demo thing.' })
  find(@CurrentCaller() caller: Caller, @DemoThingId() id: string): Promise<Representation> {
    return this.demoThings.find(caller, id);
  }

  @Patch(':id')
  @Requires('demo_things:write')
  @ApiOperation({
    operationId: 'updateDemoThing',
    summary: 'Change a demo thing',
    description: 'Fields that are left out stay. Without a difference, the response is 200 with the same version.',
  })
  @ApiOkResponse({ type: DemoThingView, description: 'The demo thing after the change.' })
  update(
    @CurrentCaller() caller: Caller,
    @DemoThingId() id: string,
    @Body() body: UpdateDemoThingDto,
    @IfMatch() ifMatch: Precondition | undefined,
  ): Promise<Representation> {
    return this.demoThings.update(caller, id, body, ifMatch);
  }

  @Delete(':id')
  @Requires('demo_things:write')
  @HttpCode(204)
  @ApiOperation({ operationId: 'deleteDemoThing', summary: 'Delete a demo thing', description: 'Permanently.' })
  @ApiNoContentResponse({ description: 'The demo thing was deleted.' })
  remove(
    @CurrentCaller() caller: Caller,
    @DemoThingId() id: string,
    @IfMatch() ifMatch: Precondition | undefined,
  ): Promise<void> {
    return this.demoThings.remove(caller, id, ifMatch);
  }
}
