import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HealthSpec, ResourceSpec, WorkloadSpec } from '../../core/index.ts';
import {
  changeResources,
  checkProcessText,
  checkResources,
  checkRestart,
  limitWarnings,
  mergeConfig,
  mergeEnv,
  mergeHealth,
  parseName,
  parseSignal,
  processEnv,
  randomName,
  resolveResources,
} from './index.ts';

const wishes = (change: Partial<WorkloadSpec> = {}) =>
  ({ env: [], labels: {}, exposedPorts: [], ...change }) as unknown as WorkloadSpec;

const argv = (image: object, change: Partial<WorkloadSpec>) => {
  const { entrypoint, command } = mergeConfig(image, wishes(change));
  return [...entrypoint, ...command].join(' ');
};

test('command and entrypoint follow the rules of Docker', () => {
  const image = { Entrypoint: ['entry'], Cmd: ['default'] };
  assert.equal(argv(image, {}), 'entry default');
  assert.equal(argv(image, { command: ['own'] }), 'entry own');
  assert.equal(argv(image, { entrypoint: ['other'] }), 'other');
  assert.equal(argv(image, { entrypoint: ['other'], command: ['own'] }), 'other own');
  assert.equal(argv(image, { entrypoint: [''], command: ['own'] }), 'own');
  assert.equal(argv(image, { entrypoint: [] }), 'default');
  for (const [from, change] of [
    [{}, {}],
    [image, { entrypoint: [''] }],
  ] as const)
    assert.throws(() => mergeConfig(from, wishes(change)), { message: 'No command specified' });
});

test('the image gives what the user leaves open', () => {
  const image = {
    Cmd: ['c'],
    User: 'www',
    WorkingDir: '/srv',
    StopSignal: 'SIGQUIT',
    Labels: { a: '1', b: '1' },
  };
  const merged = mergeConfig(image, wishes({ labels: { b: '2' }, user: 'root' }));
  assert.deepEqual(
    [merged.user, merged.workingDir, merged.stopSignal, merged.labels],
    ['root', '/srv', 'SIGQUIT', { a: '1', b: '2' }],
  );
});

test('variables are replaced in place, removed by their bare name, and have defaults', () => {
  assert.deepEqual(mergeEnv(['A=1', 'B=2', 'C=3'], ['B=x=y', 'C', 'D=']), ['A=1', 'B=x=y', 'D=']);
  assert.deepEqual(processEnv(['PATH=/bin', 'X=1'], 'host', true), [
    'PATH=/bin',
    'HOSTNAME=host',
    'TERM=xterm',
    'X=1',
  ]);
  assert.match(processEnv([], 'host', false).join(), /^PATH=.*\/bin,HOSTNAME=host$/);
});

test('a health check takes from the image what it does not say, and NONE turns it off', () => {
  const image = { Test: ['CMD', 'check'], Interval: 5e9, Retries: 7 };
  const own: HealthSpec = {
    ...{ test: [], intervalMs: 0, timeoutMs: 100, startPeriodMs: 0, startIntervalMs: 0, retries: 0 },
  };
  assert.deepEqual(mergeHealth(image, own), {
    ...{ test: ['CMD', 'check'], intervalMs: 5000, timeoutMs: 100 },
    ...{ startPeriodMs: 0, startIntervalMs: 5000, retries: 7 },
  });
  assert.equal(mergeHealth(image, { ...own, test: ['NONE'] }), undefined);
  const silly = mergeHealth({ Test: ['CMD', 'x'], Interval: 1, Timeout: 1e300, Retries: -1 }, undefined);
  assert.deepEqual([silly?.intervalMs, silly?.timeoutMs, silly?.retries], [30_000, 30_000, 3]);
  assert.equal(mergeHealth(undefined, undefined), undefined);
});

test('signals are read by name, number and distance from the real-time ones', () => {
  for (const text of ['TERM', 'SIGTERM', 'sigterm', '15']) assert.equal(parseSignal(text), 15);
  assert.equal(parseSignal('RTMIN+3'), 37);
  for (const text of ['', '0', '65', 'SIGNOPE', '-1', 'RTMIN+99', 'hasOwnProperty'])
    assert.throws(() => parseSignal(text), { code: 'invalid-argument', message: `Invalid signal: ${text}` });
});

test('random names are valid, and found even when they get scarce', () => {
  const taken = new Set<string>();
  for (let count = 0; count < 2000; count++) taken.add(parseName(randomName((name) => taken.has(name))));
  assert.equal(taken.size, 2000);
  assert.match(
    randomName((name) => !/\d{2}$/.test(name)),
    /^[a-z]+_[a-z]+\d{2,}$/,
  );
});

test('limits that cannot be kept are refused', () => {
  const mib = 1 << 20;
  const bad: [Partial<ResourceSpec>, RegExp][] = [
    [{ memoryBytes: 5 * mib }, /6MB/],
    [{ memorySwapBytes: 64 * mib }, /always set the Memory limit/],
    [{ memoryBytes: 64 * mib, memorySwapBytes: 32 * mib }, /memoryswap/],
    [{ memoryBytes: 64 * mib, memoryReservationBytes: 65 * mib }, /reservation/],
    [{ cpus: 1e6 }, /CPUs available/],
    [{ blkioWeight: 5 }, /10 to 1000/],
    [{ deviceReadBps: [{ path: 'sda', value: 1 }] }, /bad format for path: sda/],
    [{ deviceWriteIops: [{ path: '/dev/sda', value: 0 }] }, /invalid rate 0 for device \/dev\/sda/],
    [{ deviceWeights: [{ path: '/dev/sda', value: 5 }] }, /10 to 1000/],
    [{ ulimits: [{ name: 'nofile', soft: 2, hard: 1 }] }, /nofile/],
  ];
  for (const [resources, message] of bad) assert.throws(() => checkResources(resources), message);
  checkResources({ memoryBytes: 64 * mib, memorySwapBytes: -1, cpus: 0.5 });
  assert.throws(() => checkRestart({ name: 'always', maximumRetryCount: 0 }, true), /AutoRemove/);
  assert.throws(() => checkRestart({ name: 'always', maximumRetryCount: 3 }, false), /maximum retry count/);
});

const LIMITS: ResourceSpec = { ulimits: [], shmBytes: 0, oomKillDisable: false };
const disk = (name: string, value: number) => ({ path: `/dev/${name}`, value });

test('a change speaks of single limits and disks, and lifts the limit of one by 0', () => {
  const before = { ...LIMITS, pidsLimit: 5, deviceReadBps: [disk('sda', 1), disk('sdb', 2)] };
  const after = changeResources(before, { cpus: 1, deviceReadBps: [disk('sda', 0), disk('sdc', 3)] });
  assert.deepEqual(after, { ...before, cpus: 1, deviceReadBps: [disk('sdb', 2), disk('sdc', 3)] });
});

test('memory that is limited brings as much swap with it, unless told otherwise', () => {
  assert.equal(resolveResources({ ...LIMITS, memoryBytes: 5 }).memorySwapBytes, 10);
  assert.equal(resolveResources({ ...LIMITS, memoryBytes: 5, memorySwapBytes: -1 }).memorySwapBytes, -1);
  assert.equal(resolveResources(LIMITS).memorySwapBytes, undefined);
});

test('where the page cache escapes a limit of writing, a warning says so', () => {
  const limits = { deviceWriteBps: [disk('sda', 1)] };
  assert.match(limitWarnings('container', limits, 1).join(), /page cache/);
  assert.deepEqual(limitWarnings('container', limits, 2), []);
  assert.deepEqual(limitWarnings('vm', limits, 1), []);
  assert.deepEqual(limitWarnings('container', { deviceReadBps: [disk('sda', 1)] }, 1), []);
});

test('arguments and an environment that no program can be given are refused by what is wrong with them', () => {
  const process = { args: ['true'], env: ['A=b'], cwd: '/', user: '' };
  checkProcessText(process);
  const wrong = (change: Partial<typeof process>, message: RegExp) =>
    assert.throws(() => checkProcessText({ ...process, ...change }), message);
  wrong({ args: ['true', 'a\0b'] }, /argument 1 has a NUL byte/);
  wrong({ env: ['A=\0'] }, /environment variable A has a NUL byte/);
  wrong({ env: ['A\0=b'] }, /environment variable A\\0 has a NUL byte/);
  wrong({ cwd: '/\0' }, /the working directory has a NUL byte/);
  wrong({ user: 'a\0' }, /the user has a NUL byte/);
  wrong({ env: [`LONG=${'x'.repeat(131_067)}`] }, /environment variable LONG has 131072 bytes/);
  const many = Array.from({ length: 300 }, (_, index) => `E${index}=${'x'.repeat(4096)}`);
  wrong({ env: many }, /environment have \d+ bytes together, and no more than 786432/);
});
