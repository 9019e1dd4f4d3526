import { Injectable, type PipeTransform } from '@nestjs/common';
import { readDto, requireBody } from '../../platform/http/requests/validation.pipe';
import { EventCatalogue } from '../../platform/outbox/event-catalogue';
import { ownTypeFaults } from '../event-types/event-type-names';
import { EmitEventDto } from './events.requests';

/** Reads the body of an event that a tenant emits; its type must not be in a reserved namespace. */
@Injectable()
export class EmitEventPipe implements PipeTransform {
  constructor(private readonly types: EventCatalogue) {}

  transform(value: unknown): EmitEventDto {
    return readDto(EmitEventDto, requireBody(value), ({ type }) =>
      typeof type === 'string' ? ownTypeFaults('type', type, this.types) : [],
    );
  }
}
