/** What features need to answer requests: cursors, idempotency, limits. The server itself is in `server.ts`. */
import { Module } from '@nestjs/common';
import { APP_FILTER, APP_PIPE } from '@nestjs/core';
import { Readiness } from '../observability/readiness';
import { QueueHealth } from '../queue/queue-health';
import { HealthController } from './health.controller';
import { Idempotency } from './idempotency';
import { LoadShedding } from './load-shedding';
import { Cursors } from './pagination';
import { ProblemFilter } from './problem.filter';
import { RateLimiter } from './rate-limit';
import { RequestLimits } from './request-limits';
import { RequestValidationPipe } from './validation.pipe';

@Module({
  controllers: [HealthController],
  providers: [
    Cursors,
    Idempotency,
    LoadShedding,
    RateLimiter,
    RequestLimits,
    QueueHealth,
    Readiness,
    { provide: APP_FILTER, useClass: ProblemFilter },
    { provide: APP_PIPE, useClass: RequestValidationPipe },
  ],
  exports: [Cursors, Idempotency, RateLimiter, RequestLimits],
})
export class HttpPlatformModule {}
