// What a workload runs: the image's configuration with the user's wishes laid over it, by Docker's rules. Pure.

import { BerthError, type HealthSpec, type ImageRunConfig, type WorkloadSpec } from '../../core/index.ts';

export const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Image and wishes in one. */
export interface MergedConfig {
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  /** As `inspect` shows it: without what is only added for the process. */
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly user: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly stopSignal: string;
  readonly exposedPorts: readonly string[];
  readonly shell: readonly string[];
  /** Paths that the image wants as volumes. */
  readonly volumes: readonly string[];
  readonly healthCheck?: HealthSpec;
}

/** Fails with `invalid-argument` when nothing is left to run. */
export function mergeConfig(image: ImageRunConfig, spec: WorkloadSpec): MergedConfig {
  const { entrypoint, command } = mergeCommand(image, spec);
  const healthCheck = mergeHealth(image.Healthcheck, spec.health);
  return {
    entrypoint,
    command,
    env: mergeEnv(image.Env ?? [], spec.env),
    workingDir: spec.workingDir || image.WorkingDir || '/',
    user: spec.user || image.User || '',
    labels: { ...image.Labels, ...spec.labels },
    stopSignal: spec.stopSignal || image.StopSignal || 'SIGTERM',
    exposedPorts: [...new Set([...Object.keys(image.ExposedPorts ?? {}), ...spec.exposedPorts])],
    shell: image.Shell ?? ['/bin/sh', '-c'],
    volumes: Object.keys(image.Volumes ?? {}),
    ...(healthCheck === undefined ? {} : { healthCheck }),
  };
}

/** An entrypoint of the user's clears the image's command; the empty string `--entrypoint ''` clears the entrypoint. */
function mergeCommand(
  image: ImageRunConfig,
  spec: WorkloadSpec,
): { entrypoint: readonly string[]; command: readonly string[] } {
  const own = (spec.entrypoint ?? []).length > 0;
  const asked = spec.entrypoint ?? image.Entrypoint ?? [];
  const entrypoint = asked.length === 1 && asked[0] === '' ? [] : asked;
  const chosen = spec.command ?? [];
  const command = chosen.length > 0 || own ? chosen : (image.Cmd ?? []);
  if (entrypoint.length + command.length === 0)
    throw new BerthError('invalid-argument', 'No command specified');
  return { entrypoint, command };
}

/** Later settings replace earlier ones where those stood; a bare NAME removes it. */
export function mergeEnv(base: readonly string[], changes: readonly string[]): string[] {
  const merged = new Map<string, string>();
  for (const entry of base) merged.set(envName(entry), entry);
  for (const entry of changes) {
    if (entry.includes('=')) merged.set(envName(entry), entry);
    else merged.delete(entry);
  }
  return [...merged.values()];
}

function envName(entry: string): string {
  const cut = entry.indexOf('=');
  return cut < 0 ? entry : entry.slice(0, cut);
}

/** The environment of the main process: defaults that the image and the user may replace. */
export function processEnv(env: readonly string[], hostname: string, tty: boolean): string[] {
  return mergeEnv([DEFAULT_PATH, `HOSTNAME=${hostname}`, ...(tty ? ['TERM=xterm'] : [])], env);
}

const DEFAULT_HEALTH = {
  intervalMs: 30_000,
  timeoutMs: 30_000,
  startPeriodMs: 0,
  startIntervalMs: 5_000,
  retries: 3,
};

/** Zero in either stands for "not said". Undefined when there is no check, or `NONE` turns the image's off. */
export function mergeHealth(
  image: Readonly<Record<string, unknown>> | undefined,
  own: HealthSpec | undefined,
): HealthSpec | undefined {
  const inherited = image === undefined ? undefined : parseImageHealth(image);
  const test = own !== undefined && own.test.length > 0 ? own.test : (inherited?.test ?? []);
  if (test.length < 2 || test[0] === 'NONE') return undefined;
  const pick = (key: keyof typeof DEFAULT_HEALTH) => own?.[key] || inherited?.[key] || DEFAULT_HEALTH[key];
  return {
    test,
    intervalMs: pick('intervalMs'),
    timeoutMs: pick('timeoutMs'),
    startPeriodMs: pick('startPeriodMs'),
    startIntervalMs: pick('startIntervalMs'),
    retries: pick('retries'),
  };
}

/** The longest time of a timer. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The image configuration counts in nanoseconds. A value without sense, e.g. a check every nanosecond, counts as not said. */
function parseImageHealth(raw: Readonly<Record<string, unknown>>): HealthSpec {
  const number = (key: string) => (typeof raw[key] === 'number' ? raw[key] : 0);
  const milliseconds = (key: string) => {
    const value = number(key) / 1e6;
    return value >= 1 && value <= MAX_TIMER_MS ? value : 0;
  };
  const retries = number('Retries');
  const test = raw['Test'];
  return {
    test: Array.isArray(test) ? test.filter((part) => typeof part === 'string') : [],
    intervalMs: milliseconds('Interval'),
    timeoutMs: milliseconds('Timeout'),
    startPeriodMs: milliseconds('StartPeriod'),
    startIntervalMs: milliseconds('StartInterval'),
    retries: Number.isSafeInteger(retries) && retries > 0 ? retries : 0,
  };
}
