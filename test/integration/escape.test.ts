// Every technique of test/fixtures/techniques.ts from inside of a container and of a VM, against facts of this host; and
// from a container that is open on purpose, which shows that the techniques work.

import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { CliHost } from '../fixtures/cli.ts';
import { type Outcome, TECHNIQUES, type Technique } from '../fixtures/techniques.ts';
import { DAEMON_TECHNIQUES } from '../fixtures/techniques-daemon.ts';

const ATTEMPTS = join(import.meta.dirname, '../fixtures/attempts');
const MEMORY_MIB = 256;
const PIDS = 60;
const LAYER_MIB = 32;
/** More output than a log is to hold. */
const FLOOD = 'yes | head -c 3000000; exec sleep 1000';
const SECRET = randomBytes(16).toString('hex');

let host: CliHost;
let facts: Record<string, string> = {};
let bystander: ChildProcess;
const servers: Server[] = [];

before(async () => {
  host = await CliHost.open();
  chmodSync(host.root, 0o755);
  host.env['BERTH_TEST_SECRET'] = SECRET;
  await host.ok('image', 'create', 'busybox');
  execFileSync('musl-gcc', [
    ...['-std=gnu11', '-O1', '-static', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror'],
    ...['-idirafter', '/usr/include', '-idirafter', `/usr/include/${multiarch()}`],
    ...['-o', join(host.root, 'attempts')],
    ...readdirSync(ATTEMPTS)
      .filter((name) => name.endsWith('.c'))
      .map((name) => join(ATTEMPTS, name)),
  ]);
  const shared = join(host.root, 'shared');
  mkdirSync(shared);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'berth-test', shared]);
  mkdirSync(join(shared, 'deep'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'berth-test', join(shared, 'deep')]);
  for (const path of ['file', 'deep/file']) writeFileSync(join(shared, path), 'of the host\n');
  writeFileSync(join(host.root, 'secret'), SECRET);
  // A number that no process inside has.
  writeFileSync('/proc/sys/kernel/ns_last_pid', '29999');
  bystander = spawn('sh', ['-c', 'sleep 1000 & wait', SECRET], {
    stdio: 'ignore',
    env: { ...process.env, SECRET },
  });
  execFileSync('ip', ['addr', 'add', '169.254.169.254/32', 'dev', 'lo']);
  await host.ok('network', 'create', 'elsewhere');
  await host.ok(
    'run',
    '-d',
    '--name',
    'other',
    '--network',
    'elsewhere',
    'busybox',
    ...['nc', '-ll', '-p', '7', '-e', 'echo'],
  );
  await host.ok('run', '-d', '--name', 'neighbour', 'busybox', 'sleep', '1000');
  facts = await hostFacts();
  await host.ok('exec', 'neighbour', 'ping', '-c', '1', facts['GATEWAY'] ?? '');
});

after(async () => {
  bystander?.kill('SIGKILL');
  for (const server of servers) server.close();
  execFileSync('umount', ['-l', join(host.root, 'shared')]);
  const leaks = await host.close();
  assert.deepEqual(leaks, []);
});

for (const isolation of ['container', 'vm'])
  describe(`a ${isolation}`, { timeout: 300_000 }, () => {
    let outcomes: ReadonlyMap<string, string>;
    before(async () => {
      await start(isolation, [
        ...['--isolation', isolation, '--pids-limit', `${PIDS}`, '-m', `${MEMORY_MIB}m`],
        ...[
          '--storage-opt',
          `size=${LAYER_MIB}m`,
          '-v',
          `${host.root}/shared:/ro:ro`,
          '-v',
          `${isolation}:/v`,
        ],
        ...['--log-opt', 'max-size=64k', '--log-opt', 'max-file=2'],
      ]);
      outcomes = await attempt(isolation, facts);
    });
    for (const [kind, techniques] of TECHNIQUES)
      test(`${kind}: ${techniques.length} techniques end as the table says`, () => {
        const wrong = techniques
          .map((technique) => [technique.name, outcomes.get(technique.name), expected(technique, isolation)])
          .filter(([, outcome, wanted]) => outcome?.split(' ', 1)[0] !== wanted)
          .map(([name, outcome, wanted]) => `${name}: ${outcome ?? 'not tried'}, not ${wanted}`);
        assert.deepEqual(wrong, []);
      });
    for (const { name, tries, run } of DAEMON_TECHNIQUES)
      test(`${name}: it cannot ${tries}`, async () => {
        const scene = {
          host,
          name: isolation,
          secret: SECRET,
          secretPath: facts['SECRET_PATH'] ?? '',
          gateway: facts['GATEWAY'] ?? '',
        };
        assert.equal(await run(scene), false);
      });
  });

test('docs/security.md names every technique', () => {
  const text = readFileSync(join(import.meta.dirname, '../../docs/security.md'), 'utf8');
  const names = [...[...TECHNIQUES.values()].flat(), ...DAEMON_TECHNIQUES].map(({ name }) => name);
  assert.deepEqual(
    names.filter((name) => !text.includes(`\`${name}\``)),
    [],
  );
});

test('techniques work where everything is open', { timeout: 300_000 }, async () => {
  const { root } = host;
  await start('open', [
    ...['--privileged', '--network', 'host', '--pid', 'host', '--ulimit', 'nofile=1024:1024'],
    ...['--ulimit', 'memlock=65536:65536', '-v', `${root}/shared:/ro`, '-v', `${root}/secret:${root}/secret`],
  ]);
  const proven = [...TECHNIQUES.values()].flat().filter((technique) => technique.proven);
  const names = proven.map(({ name }) => name);
  const outcomes = await attempt('open', facts, names);
  const failed = names.filter((name) => outcomes.get(name) !== 'succeeded');
  const kinds = [...TECHNIQUES].filter(([, list]) =>
    list.some(({ name }) => outcomes.get(name) === 'succeeded'),
  );
  assert.deepEqual(
    kinds.map(([kind]) => kind),
    [...TECHNIQUES.keys()],
    'of each kind some succeed',
  );
  assert.ok(names.length - failed.length >= 60, `only ${names.length - failed.length} succeed`);
  // A technique that root of this host cannot carry out either shows nothing: its kernel lacks the means.
  const env = { ...process.env, ...facts };
  const direct =
    failed.length === 0 ? '' : execFileSync(join(root, 'attempts'), failed, { env, encoding: 'utf8' });
  assert.doesNotMatch(direct, /succeeded/);
});

function expected({ known, sharedKernel, ownKernel }: Technique, isolation: string): Outcome {
  const may = known ?? (isolation === 'vm' ? ownKernel : sharedKernel);
  return may === undefined ? 'refused' : 'succeeded';
}

async function start(name: string, flags: readonly string[]): Promise<void> {
  await host.ok('run', '-d', '--name', name, ...flags, 'busybox', 'sh', '-c', FLOOD);
  await host.ok('cp', join(host.root, 'attempts'), `${name}:/bin/attempts`);
}

/** The outcome of each attempt, by its name. */
async function attempt(
  name: string,
  known: Record<string, string>,
  names: readonly string[] = [],
): Promise<ReadonlyMap<string, string>> {
  const flags = Object.entries(known).flatMap(([fact, value]) => ['-e', `${fact}=${value}`]);
  const { stdout, code } = await host.run('exec', ...flags, name, 'attempts', ...names);
  assert.equal(code, 0, `the attempts came to an end behind ${stdout.trim().split('\n').at(-1)}`);
  const lines = stdout.split('\n').filter(Boolean);
  return new Map(lines.map((line) => [line.split(' ', 1)[0] ?? '', line.slice(line.indexOf(' ') + 1)]));
}

async function hostFacts(): Promise<Record<string, string>> {
  const inspected = async (format: string) => (await host.ok('inspect', '-f', format, 'other')).trim();
  const { dev } = statSync('/');
  const disk = `${(dev >> 8) & 0xfff}:${(dev & 0xff) | ((dev >> 12) & 0xfff00)}`;
  const abstract = `berth-test-${randomBytes(4).toString('hex')}`;
  await listen({ path: `\0${abstract}` });
  const loopback = await listen({ host: '127.0.0.1', port: 0 });
  const wide = await listen({ host: '0.0.0.0', port: 0 });
  const gateways = await host.ok('network', 'inspect', '-f', '{{(index .IPAM.Config 0).Gateway}}', 'bridge');
  const space = (name: string) => readlinkSync(`/proc/self/ns/${name}`);
  return {
    SECRET,
    SECRET_PATH: join(host.root, 'secret'),
    STATE_ROOT: host.env['BERTH_ROOT'] ?? '',
    API_SOCKET: join(host.root, 'berth.sock'),
    OTHER_ID: await inspected('{{.Id}}'),
    OTHER_ADDRESS: await inspected('{{.NetworkSettings.Networks.elsewhere.IPAddress}}'),
    DISK: disk,
    DISK_LINE: (readFileSync('/proc/partitions', 'utf8').split('\n')[2] ?? '').trim(),
    ABSTRACT: abstract,
    LOOPBACK_PORT: `${loopback}`,
    WIDE_PORT: `${wide}`,
    GATEWAY: gateways.trim(),
    HOST_PROCESS: `${bystander.pid}`,
    HOST_MNT: space('mnt'),
    HOST_PID_SPACE: space('pid'),
    HOST_NET: space('net'),
    HOST_IPC: space('ipc'),
    HOST_UTS: space('uts'),
    PIDS: `${PIDS}`,
    MEMORY: `${MEMORY_MIB << 20}`,
    LAYER_MIB: `${LAYER_MIB}`,
  };
}

async function listen(where: { path: string } | { host: string; port: number }): Promise<number> {
  const server = createServer((socket) => socket.destroy()).listen(where);
  servers.push(server);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function multiarch(): string {
  return execFileSync('gcc', ['-print-multiarch'], { encoding: 'utf8' }).trim();
}
