import type { EventType } from '../platform/outbox/event-catalogue';
import { DemoThingView } from './demo-things.views';

/** The events of demo things, emitted by `demo-things.service.ts`. `data` is the state that the API shows. */
export const DEMO_THING_EVENT_TYPES: readonly EventType[] = [
  { name: 'demo_thing.created', description: 'A demo thing was created.', data: DemoThingView },
  {
    name: 'demo_thing.updated',
    description: 'A demo thing was changed.',
    data: DemoThingView,
    example: { version: 2 },
  },
  {
    name: 'demo_thing.deleted',
    description: 'A demo thing was deleted. `data` is its last state.',
    data: DemoThingView,
    example: { version: 2 },
  },
];
