// What a network or a workload needs in the tables, as data, and the commands that lead from one state to another. So
// adding, changing and removing are one thing, and nothing is left behind.

export type TableFamily = 'inet' | 'bridge';

export interface Declaration {
  /** Sets of its own by name: `set { type … }`. */
  readonly sets: ReadonlyMap<string, string>;
  /** Limits of the bridge table by name. */
  readonly limits: ReadonlyMap<string, string>;
  /** Rules of chains of its own by name. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
  readonly elements: readonly Element[];
}

export interface Element {
  readonly family: TableFamily;
  readonly set: string;
  readonly key: string;
  /** Of maps. */
  readonly value?: string;
}

export interface Change {
  readonly before: Declaration;
  readonly after: Declaration;
}

export const NOTHING: Declaration = {
  sets: new Map(),
  limits: new Map(),
  chains: new Map(),
  elements: [],
};

/** What elements begin to count from, by `elementKey`: "counter packets 3 bytes 180". */
export type Counted = ReadonlyMap<string, string>;

/**
 * The commands for all of `changes`, to be applied in one transaction. Things come before what refers to them, and go
 * after it.
 */
export function formatChanges(
  table: string,
  changes: readonly Change[],
  counted: Counted = new Map(),
): string[] {
  const inet = `inet ${table}`;
  const added = changes.map(({ before, after }) => difference(after, before));
  const gone = changes.map(({ before, after }) => difference(before, after));
  return [
    ...added.flatMap(({ sets }) => [...sets].map(([name, text]) => `add set ${inet} ${name} ${text}`)),
    ...added.flatMap(({ limits }) =>
      [...limits].map(([name, text]) => `add limit bridge ${table} ${name} ${text}`),
    ),
    ...added.flatMap(({ chains }) => [...chains.keys()].map((name) => `add chain ${inet} ${name}`)),
    ...formatElements(
      'delete',
      table,
      gone.flatMap(({ elements }) => elements),
    ),
    // Of a chain that changes, too.
    ...gone.flatMap(({ chains }) => [...chains.keys()].map((name) => `flush chain ${inet} ${name}`)),
    ...added.flatMap(({ chains }) =>
      [...chains].flatMap(([name, rules]) => rules.map((rule) => `add rule ${inet} ${name} ${rule}`)),
    ),
    ...formatElements(
      'add',
      table,
      added.flatMap(({ elements }) => elements),
      counted,
    ),
    ...changes.flatMap(({ before, after }) => [
      ...missing(before.chains, after.chains).map((name) => `delete chain ${inet} ${name}`),
      ...missing(before.limits, after.limits).map((name) => `delete limit bridge ${table} ${name}`),
      ...missing(before.sets, after.sets).map((name) => `delete set ${inet} ${name}`),
    ]),
  ];
}

/** What of `one` is not in `other`, or is another there. */
function difference(one: Declaration, other: Declaration): Declaration {
  const known = new Set(other.elements.map(formatIdentity));
  const entries = <Value>(mine: ReadonlyMap<string, Value>, others: ReadonlyMap<string, Value>) =>
    new Map([...mine].filter(([name, value]) => String(others.get(name)) !== String(value)));
  return {
    sets: entries(one.sets, other.sets),
    limits: entries(one.limits, other.limits),
    chains: entries(one.chains, other.chains),
    elements: one.elements.filter((element) => !known.has(formatIdentity(element))),
  };
}

function missing(before: ReadonlyMap<string, unknown>, after: ReadonlyMap<string, unknown>): string[] {
  return [...before.keys()].filter((name) => !after.has(name));
}

export function elementKey(family: TableFamily, set: string, key: string): string {
  return `${family} ${set} ${key.replaceAll('"', '')}`;
}

function formatIdentity({ family, set, key, value }: Element): string {
  return `${family} ${set} ${key} ${value}`;
}

/** Elements of one set go in one command. */
function formatElements(
  verb: 'add' | 'delete',
  table: string,
  elements: readonly Element[],
  counted: Counted = new Map(),
): string[] {
  const bySet = new Map<string, string[]>();
  for (const { family, set, key, value } of elements) {
    const name = `${family} ${table} ${set}`;
    const list = bySet.get(name) ?? [];
    bySet.set(name, list);
    const count = counted.get(elementKey(family, set, key));
    list.push(
      [key, ...(count === undefined ? [] : [count]), ...(value === undefined ? [] : [':', value])].join(' '),
    );
  }
  return [...bySet].map(([name, list]) => `${verb} element ${name} { ${list.join(', ')} }`);
}
