import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Permission } from '../../permissions/permissions';
import { Public, Requires } from './caller';
import { RoutePermissions } from './route-permissions';

@Controller('open')
class Open {
  @Get() @Public() get(): void {}
}

@Controller('signed-in')
class SignedIn {
  @Get() @Requires('signed-in') get(): void {}
}

@Controller('silent')
class Silent {
  @Get() get(): void {}
}

@Controller('mistyped')
class Mistyped {
  @Get() @Requires('nothing:read' as Permission) get(): void {}
}

function start(...controllers: (new () => object)[]) {
  @Module({ controllers, providers: [RoutePermissions] })
  class Root {}
  return NestFactory.createApplicationContext(Root, { logger: false, abortOnError: false });
}

describe('RoutePermissions', () => {
  it('accepts routes that are public or need any credential', async () => {
    await (await start(Open, SignedIn)).close();
  });

  it('stops the start at a route without a declared permission', async () => {
    await expect(start(Silent)).rejects.toThrow('Silent.get declares neither @Requires nor @Public');
  });

  it('stops the start at a permission that no feature declares', async () => {
    await expect(start(Mistyped)).rejects.toThrow('Mistyped.get requires nothing:read, which no feature declares');
  });
});
