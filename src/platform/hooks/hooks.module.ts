/**
 * In-transaction hooks and counts, through which features cooperate without imports; see `hooks.ts` and
 * `tenant-contents.ts`.
 */
import { Module } from '@nestjs/common';
import { Hooks } from './hooks';
import { TenantContents } from './tenant-contents';

@Module({ providers: [Hooks, TenantContents], exports: [Hooks, TenantContents] })
export class HooksModule {}
