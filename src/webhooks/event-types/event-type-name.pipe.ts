import { Injectable, type PipeTransform } from '@nestjs/common';
import { NotFound, ValidationFailed } from '../../platform/errors';
import { EventCatalogue } from '../../platform/outbox/event-catalogue';
import { MAX_TYPE_NAME, ownTypeFaults, TYPE_NAME } from './event-type-names';

/** Reads the name of a type in a path. A malformed name gets 404, like an unknown one. */
@Injectable()
export class EventTypeNamePipe implements PipeTransform<string, string> {
  transform(name: string): string {
    if (TYPE_NAME.test(name) && name.length <= MAX_TYPE_NAME) return name;
    throw new NotFound('Event type', name.replace(/[^\x20-\x7e]/g, '?'));
  }
}

/** Reads the name of a type to register. */
@Injectable()
export class OwnEventTypeNamePipe implements PipeTransform<string, string> {
  constructor(private readonly types: EventCatalogue) {}

  transform(name: string): string {
    const faults = ownTypeFaults('name', name, this.types);
    if (faults.length > 0) throw new ValidationFailed(faults);
    return name;
  }
}
