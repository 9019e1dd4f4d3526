import { type DynamicModule, Global, Module } from '@nestjs/common';
import { TRACING, type Tracing } from './tracing';

/** Provides the process's tracing to all modules. */
@Global()
@Module({})
export class TracingModule {
  static forRoot(tracing: Tracing): DynamicModule {
    return { module: TracingModule, providers: [{ provide: TRACING, useValue: tracing }], exports: [TRACING] };
  }
}
