// GET /events: what happened and what happens, as JSON lines.

import { given, parseMoment, readFilters } from '../../wire/index.ts';
import type { Call } from '../http/call.ts';
import { beginStream, writePart } from '../http/respond.ts';
import type { Route } from '../http/router.ts';
import { EVENT_FILTERS, eventFilter, toEventLine } from '../translate/event-json.ts';
import type { Services } from './services.ts';

export function eventRoutes({ engine }: Services): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/events',
      handle: async (call: Call) => {
        const passes = eventFilter(readFilters(call.query.get('filters'), EVENT_FILTERS));
        const events = engine.events.subscribe({
          ...given('sinceNano', parseMoment('since', call.query.get('since'))),
          ...given('untilNano', parseMoment('until', call.query.get('until'))),
          signal: call.signal,
        });
        beginStream(call, 'application/json');
        for await (const event of events) if (passes(event)) await writePart(call, toEventLine(event));
        call.response.end();
      },
    },
  ];
}
