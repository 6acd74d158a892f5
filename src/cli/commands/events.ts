// `berth events`: show what happens in the daemon, as it happens.

import { visibleText } from '../../formats/visible.ts';
import type { EventMessage } from '../../sdk/types.ts';
import { defineCommand } from '../command.ts';
import { parseFilters } from '../filters.ts';
import { renderOne } from '../format/list.ts';
import { parseMoment } from '../format/units.ts';

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Show what happens in the daemon, as it happens',
  flags: {
    filter: { kind: 'list', short: 'f', help: 'Only those that match: event=die, container=web, type=image' },
    format: { kind: 'string', help: 'json, or a template' },
    since: { kind: 'string', help: 'Also what happened since a time or in a duration' },
    until: { kind: 'string', help: 'End at a time' },
  },
  args: { min: 0, max: 0 },
  examples: [
    ['events --filter event=die', 'tell whenever a workload ends'],
    ['events --since 10m --until 0s', 'what happened in the last ten minutes'],
  ],
  run: async (context, { flags }) => {
    const { system } = await context.client();
    const events = system.events({
      filters: parseFilters(flags.filter),
      ...(flags.since === undefined ? {} : { since: parseMoment(flags.since, '--since') }),
      ...(flags.until === undefined ? {} : { until: parseMoment(flags.until, '--until') }),
    });
    for await (const event of events) {
      await context.out.line(render(event, flags.format));
    }
    return 0;
  },
});

function render(event: EventMessage, format: string | undefined): string {
  if (format === undefined) return line(event);
  return renderOne(format === 'json' ? event : withGoNames(event), format);
}

/** Templates name fields as Docker's client does in Go, not as they are spelled on the wire. */
function withGoNames(event: EventMessage): object {
  const { Actor, time, timeNano } = event;
  return {
    ...event,
    ID: Actor.ID,
    From: Actor.Attributes['image'] ?? '',
    Status: event.Action,
    Scope: 'local',
    Time: time,
    TimeNano: timeNano,
  };
}

function line({ Type, Action, Actor, timeNano, time }: EventMessage): string {
  // Beyond the microsecond a JSON number of nanoseconds is not exact.
  const micros = String(Math.floor((timeNano % 1e9) / 1000) || 0).padStart(6, '0');
  const moment = new Date(time * 1000).toISOString().replace(/\.\d+Z/, `.${micros}Z`);
  const attributes = Object.entries(Actor.Attributes)
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(', ');
  return visibleText(`${moment} ${Type} ${Action} ${Actor.ID}${attributes === '' ? '' : ` (${attributes})`}`);
}
