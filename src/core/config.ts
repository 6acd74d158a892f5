// What a user may set for a daemon: names, defaults, and how values are written. Pure; who keeps them is the engine.

import { BerthError } from './errors.ts';

interface Setting {
  readonly kind: 'bytes' | 'count' | 'switch';
  /** A switch: 0 off, 1 on. */
  readonly default: number;
  /** One line for the user. */
  readonly help: string;
}

export const SETTINGS = {
  'vm.pool.machines': {
    kind: 'count',
    default: 6,
    help: 'Most virtual machines that wait for a start; 0: none',
  },
  'vm.pool.memory': {
    kind: 'bytes',
    default: 512 * 2 ** 20,
    help: 'Most memory that machines hold while they wait; 0: none',
  },
  'vm.kvm.seconds': {
    kind: 'count',
    default: 10,
    help: 'Seconds that a guest may take to boot when the daemon tries whether /dev/kvm works',
  },
  'network.publish-everywhere': {
    kind: 'switch',
    default: 0,
    help: 'Publish ports that name no address of the host on all of them, as Docker does; off: on 127.0.0.1 only',
  },
} as const satisfies Readonly<Record<string, Setting>>;

export type SettingName = keyof typeof SETTINGS;
export type Config = Readonly<Record<SettingName, number>>;

export const DEFAULT_CONFIG = Object.fromEntries(
  Object.entries(SETTINGS).map(([name, setting]) => [name, setting.default]),
) as Config;

/** Fails with `not-found`, naming those there are. */
export function settingName(text: string): SettingName {
  if (Object.hasOwn(SETTINGS, text)) return text as SettingName;
  throw new BerthError(
    'not-found',
    `there is no setting ${text}; there are ${Object.keys(SETTINGS).join(', ')}`,
  );
}

const UNITS: Readonly<Record<string, number>> = { '': 0, b: 0, k: 10, m: 20, g: 30, t: 40 };

/** A number, on or off, or for bytes a number with a unit: 512m, 1.5g. Fails with `invalid-argument`. */
export function parseSetting(name: SettingName, text: string): number {
  const { kind } = SETTINGS[name];
  if (kind === 'switch') return parseSwitch(name, text);
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?) *(?:([bkmgt])i?b?)?$/i.exec(text.trim()) ?? [];
  const value =
    kind === 'bytes' ? Math.round(Number(digits) * 2 ** (UNITS[unit.toLowerCase()] ?? 0)) : Number(digits);
  if (digits !== '' && Number.isSafeInteger(value) && (kind === 'bytes' || unit === '')) return value;
  const wanted = kind === 'bytes' ? 'a size such as 512m or 1g' : 'a whole number';
  throw new BerthError('invalid-argument', `invalid value "${text}" for ${name}: it is ${wanted}`);
}

function parseSwitch(name: SettingName, text: string): number {
  const value = ['off', 'on'].indexOf(text.trim().toLowerCase());
  if (value >= 0) return value;
  throw new BerthError('invalid-argument', `invalid value "${text}" for ${name}: it is on or off`);
}

/** As it can be parsed again, in the largest unit that is exact. */
export function formatSetting(name: SettingName, value: number): string {
  if (SETTINGS[name].kind === 'switch') return value === 0 ? 'off' : 'on';
  if (SETTINGS[name].kind === 'count' || value === 0) return String(value);
  for (const [unit, bits] of [
    ['t', 40],
    ['g', 30],
    ['m', 20],
    ['k', 10],
  ] as const)
    if (value % 2 ** bits === 0) return `${value / 2 ** bits}${unit}`;
  return String(value);
}
