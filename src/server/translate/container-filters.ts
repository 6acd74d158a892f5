// The filters of `docker ps` and `docker container prune`, as predicates over views.

import { ISOLATIONS, type WorkloadView } from '../../core/index.ts';
import { FieldError, type Filters, matchesLabels, parseMoment, parseSpan } from '../../wire/index.ts';
import { networkNamesOf } from './endpoints.ts';
import { statusWord } from './inspect.ts';

type Predicate = (view: WorkloadView) => boolean;

export interface FilterContext {
  /** Finds the workload that `before` and `since` name; fails with `not-found`. */
  readonly find: (reference: string) => WorkloadView;
  /** Ids of the images that `ancestor` names. */
  readonly imageIds: ReadonlySet<string>;
}

const STATUSES = ['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead'];
const HEALTHS = ['starting', 'healthy', 'unhealthy', 'none'];

type Maker = (values: readonly string[], context: FilterContext) => Predicate;

const MAKERS: Readonly<Record<string, Maker>> = {
  id: (values) => (view) => values.some((value) => view.id.startsWith(value)),
  name: (values) => {
    const patterns = values.map((value) => pattern(value));
    return (view) => patterns.some((regexp) => regexp.test(view.name) || regexp.test(`/${view.name}`));
  },
  label: (values) => (view) => matchesLabels(values, view.labels),
  'label!': (values) => (view) => !values.some((value) => matchesLabels([value], view.labels)),
  status: (values) => {
    oneOf('status', values, STATUSES);
    return (view) => values.includes(statusWord(view));
  },
  health: (values) => {
    oneOf('health', values, HEALTHS);
    return (view) => values.includes(view.health?.status ?? 'none');
  },
  exited: (values) => {
    const codes = values.map((value) => integer('exited', value));
    return (view) => view.state === 'exited' && codes.includes(view.exit?.code ?? -1);
  },
  isolation: (values) => {
    oneOf('isolation', values, ISOLATIONS);
    return (view) => values.includes(view.spec.isolation);
  },
  ancestor: (values, { imageIds }) => {
    const names = new Set(values);
    return (view) => names.has(view.spec.image) || imageIds.has(view.imageId);
  },
  before: (values, { find }) => {
    const moments = values.map((value) => find(value).createdAt);
    return (view) => moments.every((moment) => view.createdAt < moment);
  },
  since: (values, { find }) => {
    const moments = values.map((value) => find(value).createdAt);
    return (view) => moments.every((moment) => view.createdAt > moment);
  },
  volume: (values) => (view) =>
    view.mounts.some(({ name, source, target }) =>
      values.some((value) => value === name || value === source || value === target),
    ),
  network: (values) => (view) => {
    const names = networkNamesOf(view);
    return values.some((value) => names.some((name) => name === value || isIdOf(value, name)));
  },
  publish: (values) => (view) =>
    view.published.some(({ port, protocol }) => values.some((value) => isPort(value, port, protocol))),
  expose: (values) => (view) =>
    values.some((value) => view.exposedPorts.includes(value.includes('/') ? value : `${value}/tcp`)),
  until: (values) => {
    const moments = values.map((value) => untilMoment(value));
    return (view) => moments.every((moment) => BigInt(Date.parse(view.createdAt)) * 1_000_000n < moment);
  },
};

export const PS_FILTERS = Object.keys(MAKERS).filter((name) => name !== 'label!' && name !== 'until');
export const PRUNE_FILTERS = ['label', 'label!', 'until'];

/** Whether a view passes all the filters. Fails with FieldError on a value that cannot be. */
export function containerFilter(filters: Filters, context: FilterContext): Predicate {
  const predicates = [...filters].flatMap(([name, values]) => {
    const make = MAKERS[name];
    return make === undefined || values.length === 0 ? [] : [make(values, context)];
  });
  return (view) => predicates.every((predicate) => predicate(view));
}

/** A moment, or a span before now. */
export function untilMoment(value: string): bigint {
  const span = parseSpan(value);
  if (span !== undefined) return BigInt(Date.now()) * 1_000_000n - span;
  const moment = parseMoment('until', value);
  if (moment === undefined) throw new FieldError('until', 'it is empty');
  return moment;
}

function isIdOf(prefix: string, id: string): boolean {
  return /^[0-9a-f]{64}$/.test(id) && id.startsWith(prefix);
}

/** 80, 80/tcp or 80-90/udp. */
function isPort(value: string, port: number, protocol: string): boolean {
  const [, first, last = first, type = 'tcp'] = /^(\d+)(?:-(\d+))?(?:\/(\w+))?$/.exec(value) ?? [];
  return type === protocol && port >= Number(first) && port <= Number(last);
}

function pattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch {
    throw new FieldError('filter', `'name=${text}' is not a regular expression`);
  }
}

function oneOf(name: string, values: readonly string[], allowed: readonly string[]): void {
  const wrong = values.find((value) => !allowed.includes(value));
  if (wrong !== undefined)
    throw new FieldError('filter', `'${name}=${wrong}'; possible are ${allowed.join(', ')}`);
}

function integer(name: string, text: string): number {
  const value = Number(text);
  if (text === '' || !Number.isInteger(value))
    throw new FieldError('filter', `'${name}=${text}' is not a whole number`);
  return value;
}
