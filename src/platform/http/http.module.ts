/** Providers for request handling in features: cursors, idempotency, limits. The server itself is in `server.ts`. */
import { Module } from '@nestjs/common';
import { APP_FILTER, APP_PIPE } from '@nestjs/core';
import { Readiness } from '../health/readiness';
import { QueueHealth } from '../health/queue-health';
import { HealthController } from '../health/health.controller';
import { Idempotency } from './responses/idempotency';
import { LoadShedding } from './limits/load-shedding';
import { Cursors } from './responses/pagination';
import { OutageLog } from './responses/outage-log';
import { ProblemFilter } from './responses/problem.filter';
import { RateLimiter } from './limits/rate-limit';
import { RequestLimits } from './limits/request-limits';
import { TenantLoads } from './limits/tenant-loads';
import { RoutePermissions } from './requests/route-permissions';
import { UsageModule } from '../usage/usage.module';
import { RequestValidationPipe } from './requests/validation.pipe';
import { AuditPlatformModule } from '../audit/audit.module';
import { SecretBoxModule } from '../crypto/secret-box.module';

@Module({
  imports: [AuditPlatformModule, SecretBoxModule, UsageModule],
  controllers: [HealthController],
  providers: [
    Cursors,
    Idempotency,
    LoadShedding,
    OutageLog,
    RateLimiter,
    RequestLimits,
    TenantLoads,
    QueueHealth,
    Readiness,
    RoutePermissions,
    { provide: APP_FILTER, useClass: ProblemFilter },
    { provide: APP_PIPE, useClass: RequestValidationPipe },
  ],
  exports: [Cursors, Idempotency, RateLimiter, RequestLimits, UsageModule],
})
export class HttpPlatformModule {}
