import { Injectable, type OnModuleInit, type Type } from '@nestjs/common';
import { METHOD_METADATA } from '@nestjs/common/constants.js';
import { MetadataScanner, ModulesContainer } from '@nestjs/core';
import { PERMISSIONS } from '../../permissions/permissions';
import { ROUTE_METADATA } from './caller';

/**
 * Stops the start if a route declares neither its permission nor that it is public, or requires an undeclared
 * permission: no role could have it, and the mistake would show as a 403 in production.
 */
@Injectable()
export class RoutePermissions implements OnModuleInit {
  constructor(private readonly modules: ModulesContainer) {}

  onModuleInit(): void {
    const scanner = new MetadataScanner();
    for (const module of this.modules.values()) {
      for (const { metatype } of module.controllers.values()) {
        const controller = metatype as Type;
        const prototype = controller.prototype as Record<string, object>;
        for (const name of scanner.getAllMethodNames(prototype)) assertDeclared(controller, name);
      }
    }
  }
}

function assertDeclared(controller: Type, name: string): void {
  const handler = (controller.prototype as Record<string, object>)[name] as object;
  if (!Reflect.hasMetadata(METHOD_METADATA, handler)) return;
  const of = (key: string): unknown => Reflect.getMetadata(key, handler) ?? Reflect.getMetadata(key, controller);
  if (of(ROUTE_METADATA.PUBLIC)) return;
  const permission = of(ROUTE_METADATA.PERMISSION);
  if (permission === 'signed-in') return;
  const route = `${controller.name}.${name}`;
  if (permission === undefined) throw new Error(`${route} declares neither @Requires nor @Public`);
  if (!PERMISSIONS.has(String(permission))) {
    throw new Error(`${route} requires ${String(permission)}, which no feature declares`);
  }
}
