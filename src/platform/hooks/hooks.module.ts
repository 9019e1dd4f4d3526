/** In-transaction hooks, by which features react to each other without imports; see `hooks.ts`. */
import { Global, Module } from '@nestjs/common';
import { Hooks } from './hooks';

@Global()
@Module({ providers: [Hooks], exports: [Hooks] })
export class HooksModule {}
