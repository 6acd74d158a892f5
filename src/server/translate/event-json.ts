// BerthEvent -> one line of GET /events, and the filters over them.

import type { BerthEvent } from '../../core/index.ts';
import { type Filters, matchesLabels } from '../../wire/index.ts';

/** JSON text: `timeNano` exceeds what a JavaScript number holds exactly, and Docker writes it as a number. */
export function toEventLine(event: BerthEvent): string {
  const { id, attributes } = event.actor;
  const legacy =
    event.type === 'container' || event.type === 'image'
      ? {
          status: event.action,
          id,
          ...(attributes['image'] === undefined ? {} : { from: attributes['image'] }),
        }
      : {};
  const text = JSON.stringify({
    ...legacy,
    Type: event.type,
    Action: event.action,
    Actor: { ID: id, Attributes: attributes },
    scope: 'local',
    time: Number(event.timeNano / 1_000_000_000n),
  });
  return `${text.slice(0, -1)},"timeNano":${event.timeNano}}\n`;
}

export const EVENT_FILTERS = [
  'type',
  'event',
  'container',
  'image',
  'volume',
  'network',
  'daemon',
  'label',
  'scope',
];

export function eventFilter(filters: Filters): (event: BerthEvent) => boolean {
  const tests = [...filters].map(
    ([name, values]) =>
      (event: BerthEvent) =>
        passes(name, values, event),
  );
  return (event) => tests.every((test) => test(event));
}

function passes(name: string, values: readonly string[], event: BerthEvent): boolean {
  const { id, attributes } = event.actor;
  switch (name) {
    case 'type':
      return values.includes(event.type);
    case 'scope':
      return values.includes('local');
    case 'event':
      // `exec_start` stands for `exec_start: COMMAND`.
      return values.some((value) => event.action === value || event.action.startsWith(`${value}: `));
    case 'label':
      return matchesLabels(values, attributes);
    case 'image':
      return values.some((value) => matchesImage(value, event));
    default:
      return event.type === name && values.some((value) => matchesActor(value, id, attributes['name']));
  }
}

function matchesActor(value: string, id: string, name: string | undefined): boolean {
  return value === name || value === `/${name}` || id.startsWith(value);
}

function matchesImage(value: string, event: BerthEvent): boolean {
  const { id, attributes } = event.actor;
  const named = event.type === 'image' ? (attributes['name'] ?? id) : (attributes['image'] ?? '');
  const bare = (text: string) => text.replace(/:[^/:]*$/, '');
  return named === value || bare(named) === value || (event.type === 'image' && id.startsWith(value));
}
