import type { INestApplication, Type } from '@nestjs/common';
import { HTTP_CODE_METADATA } from '@nestjs/common/constants.js';
import { MetadataScanner, ModulesContainer } from '@nestjs/core';
import { addRouteConfig } from '../route-config';

const NO_CONTENT = 204;

/**
 * Declares to the server the routes whose success has no body: `Accept` cannot refuse them. Called before the routes
 * are registered.
 */
export function noteEmptyResponses(app: INestApplication): void {
  const scanner = new MetadataScanner();
  for (const module of app.get(ModulesContainer).values()) {
    for (const { metatype } of module.controllers.values()) {
      const prototype = (metatype as Type | null)?.prototype as Record<string, object> | undefined;
      if (!prototype) continue;
      for (const name of scanner.getAllMethodNames(prototype)) {
        const handler = prototype[name] as object;
        if (Reflect.getMetadata(HTTP_CODE_METADATA, handler) === NO_CONTENT) addRouteConfig(handler, { produces: [] });
      }
    }
  }
}
