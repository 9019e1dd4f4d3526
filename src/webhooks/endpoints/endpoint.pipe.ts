/**
 * Pipes for bodies whose rules depend on the configuration or on the event catalogue. A pipe replaces the global pipe
 * at its parameter, so that one response has all faults; the parameter's type is therefore imported as a type.
 */
import { Injectable, type PipeTransform } from '@nestjs/common';
import { Config } from '../../platform/config/config';
import type { FieldFault } from '../../platform/errors';
import { readDto, requireBody } from '../../platform/http/requests/validation.pipe';
import { parseCidr } from '../../platform/net/cidrs';
import { EventCatalogue } from '../../platform/outbox/event-catalogue';
import { unknownTypesFaults } from '../event-types/event-type-names';
import { checkUrl, type SsrfPolicy } from '../http-client/ssrf-policy';
import { CreateEndpointDto, UpdateEndpointDto } from './endpoints.requests';

/** Rules of an endpoint that depend on the configuration: allowed URLs and known event types. */
@Injectable()
export class EndpointRules {
  private readonly policy: SsrfPolicy;

  constructor(
    config: Config,
    private readonly types: EventCatalogue,
  ) {
    this.policy = {
      allowHttp: config.WEBHOOK_ALLOW_HTTP,
      allowCidrs: config.WEBHOOK_ALLOW_CIDRS.map(parseCidr),
    };
  }

  faults(input: UpdateEndpointDto): FieldFault[] {
    const verdict = typeof input.url === 'string' ? checkUrl(input.url, this.policy) : undefined;
    return [
      ...(verdict && !verdict.ok ? [{ field: 'url', message: verdict.message, code: verdict.code }] : []),
      ...unknownTypesFaults(input.event_types, this.types),
    ];
  }
}

@Injectable()
export class CreateEndpointPipe implements PipeTransform {
  constructor(private readonly rules: EndpointRules) {}

  transform(value: unknown): CreateEndpointDto {
    return readDto(CreateEndpointDto, requireBody(value), (input) => this.rules.faults(input));
  }
}

@Injectable()
export class UpdateEndpointPipe implements PipeTransform {
  constructor(private readonly rules: EndpointRules) {}

  transform(value: unknown): UpdateEndpointDto {
    return readDto(UpdateEndpointDto, requireBody(value), (input) => this.rules.faults(input));
  }
}
