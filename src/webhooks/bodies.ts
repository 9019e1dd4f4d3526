/**
 * Reads the bodies and names whose rules depend on the configuration or on what features emit. Each stands at its parameter in
 * place of the global pipe, so that all faults are told at once; the parameter's type is therefore imported as a type.
 */
import { Inject, Injectable, type PipeTransform } from '@nestjs/common';
import { parseCidr } from '../platform/net/cidrs';
import type { Config } from '../platform/config/config';
import { CONFIG } from '../platform/config/config.module';
import { type FieldFault, MalformedRequest, NotFound, ValidationFailed } from '../platform/errors';
import { readDto } from '../platform/http/requests/validation.pipe';
import { EventTypes } from '../platform/outbox/event-types';
import { checkUrl, type DestinationPolicy } from './http-client/ssrf-policy';
import { CreateEndpointDto, UpdateEndpointDto } from './endpoints/endpoints.dto';
import { MAX_TYPE_NAME, ownTypeFaults, TYPE_NAME, unknownTypesFaults } from './event-types/event-type-names';
import { EmitEventDto } from './events/events.dto';

/** What no DTO can see of an endpoint: where it may point to, and which of our events there are. */
@Injectable()
export class EndpointRules {
  private readonly policy: DestinationPolicy;

  constructor(
    @Inject(CONFIG) config: Config,
    private readonly types: EventTypes,
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
export class CreateEndpointBody implements PipeTransform {
  constructor(private readonly rules: EndpointRules) {}

  transform(value: unknown): CreateEndpointDto {
    return readDto(CreateEndpointDto, given(value), (input) => this.rules.faults(input));
  }
}

@Injectable()
export class UpdateEndpointBody implements PipeTransform {
  constructor(private readonly rules: EndpointRules) {}

  transform(value: unknown): UpdateEndpointDto {
    return readDto(UpdateEndpointDto, given(value), (input) => this.rules.faults(input));
  }
}

@Injectable()
export class EmitEventBody implements PipeTransform {
  constructor(private readonly types: EventTypes) {}

  transform(value: unknown): EmitEventDto {
    return readDto(EmitEventDto, given(value), ({ type }) =>
      typeof type === 'string' ? ownTypeFaults('type', type, this.types) : [],
    );
  }
}

/** Reads the name of a type in a path. What cannot be one names nothing: 404, as for one that there is not. */
@Injectable()
export class EventTypeName implements PipeTransform<string, string> {
  transform(name: string): string {
    if (TYPE_NAME.test(name) && name.length <= MAX_TYPE_NAME) return name;
    throw new NotFound('Event type', name.replace(/[^\x20-\x7e]/g, '?'));
  }
}

/** Reads the name of a type that is to be registered. */
@Injectable()
export class OwnEventTypeName implements PipeTransform<string, string> {
  constructor(private readonly types: EventTypes) {}

  transform(name: string): string {
    const faults = ownTypeFaults('name', name, this.types);
    if (faults.length > 0) throw new ValidationFailed(faults);
    return name;
  }
}

function given(value: unknown): unknown {
  if (value === undefined) throw new MalformedRequest('A JSON body is required.');
  return value;
}
