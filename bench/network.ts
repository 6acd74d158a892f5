// What networks cost: a start on the bridge against one without, published ports, and the throughput between workloads
// against Docker's bridge and against a plain QEMU on a plain bridge. Run it by scripts/own-place.sh.
// Usage: sh scripts/own-place.sh bench/network.ts [rounds of starts] [rounds of transfers]

import { stdout } from 'node:process';
import { assertOwnNamespace } from '../test/fixtures/network-lab.ts';
import { Api, type HostConfig } from './api.ts';
import { BERTH, type Engine, removeScratch, scratch, startBerth, startDocker, succeed } from './engines.ts';
import {
  heading,
  hostClass,
  interleave,
  median,
  promise,
  type Sample,
  table,
  type Variant,
} from './harness.ts';
import { type Ask, arrivalMs, clientOf, iperfArguments, packIperf, type Transfer } from './iperf.ts';
import { PLAIN_VM, startPlainVm } from './plain-vm.ts';

const [STARTS = 40, TRANSFERS = 12] = process.argv.slice(2).map(Number);
const PORTS = 200;
const VM_MEMORY_MIB = 256;
const MOST_ATTEMPTS = 100;

const MANY_PORTS = {
  PortBindings: Object.fromEntries(
    Array.from({ length: PORTS }, (_, index) => [`${1000 + index}/tcp`, [{ HostPort: `${20_000 + index}` }]]),
  ),
};

/** From the first request until the engine says that the container is gone, its network with it. */
function start(name: string, api: Api, hostConfig: HostConfig): Variant {
  const run = async (): Promise<undefined> => {
    const code = await api.runToExit(['true'], hostConfig, 'removed');
    if (code !== 0) throw new Error(`${name}: exit code ${code}`);
    return undefined;
  };
  return { name, run };
}

/** The median of the differences within each round: what the host was doing at the time counts on both sides. */
function added(samples: readonly Sample[], more: string, less: string): number {
  const of = (name: string) => samples.find((sample) => sample.name === name)?.timesMs ?? [];
  return median(of(more).map((time, round) => time - (of(less)[round] ?? Number.NaN)));
}

interface Starts {
  readonly samples: readonly Sample[];
  /** Docker's, for which a few rounds say enough: each of its ports is a process. */
  readonly ports: readonly Sample[];
}

/** Each engine for itself: what one is still taking down would else count as the other's. */
async function runStarts(berth: Api, docker: Api): Promise<Starts> {
  const own = [
    start('Berth, none', berth, { NetworkMode: 'none' }),
    start('Berth, bridge', berth, { NetworkMode: 'bridge' }),
    start('Berth, ports', berth, { NetworkMode: 'bridge', ...MANY_PORTS }),
  ];
  const bridge = start('Docker, bridge', docker, { NetworkMode: 'bridge' });
  const peers = [start('Docker, none', docker, { NetworkMode: 'none' }), bridge];
  const ports = [bridge, start('Docker, ports', docker, { NetworkMode: 'bridge', ...MANY_PORTS })];
  return {
    samples: [...(await interleave(own, STARTS)), ...(await interleave(peers, STARTS / 2))],
    ports: await interleave(ports, 2, 0),
  };
}

function describeStarts({ samples, ports }: Starts): string {
  const row = (name: string, of: readonly Sample[]): string[] => {
    const times = of.find((sample) => sample.name === name)?.timesMs ?? [];
    return [median(times).toFixed(1), String(times.length)];
  };
  const difference = (of: readonly Sample[], more: string, less: string) => added(of, more, less).toFixed(1);
  const network = added(samples, 'Berth, bridge', 'Berth, none');
  const published = added(samples, 'Berth, ports', 'Berth, bridge');
  return [
    table(
      ['', 'median ms', 'runs', 'added ms (median of the rounds)'],
      [
        ['Berth, network none', ...row('Berth, none', samples), ''],
        ['Berth, bridge', ...row('Berth, bridge', samples), network.toFixed(1)],
        [`Berth, bridge and ${PORTS} ports`, ...row('Berth, ports', samples), published.toFixed(1)],
        ['Docker, network none', ...row('Docker, none', samples), ''],
        [
          'Docker, bridge',
          ...row('Docker, bridge', samples),
          difference(samples, 'Docker, bridge', 'Docker, none'),
        ],
        [
          `Docker, bridge and ${PORTS} ports`,
          ...row('Docker, ports', ports),
          difference(ports, 'Docker, ports', 'Docker, bridge'),
        ],
      ],
    ),
    '\n',
    promise('the bridge adds at most 15 ms to a start and removal', network, 15, false),
    promise(`${PORTS} published ports add at most 5 ms`, published, 5, false),
  ].join('');
}

/** A workload that serves, and its address. */
function serve(ask: Ask, ...options: readonly string[]): string {
  const id = ask('run', '-d', ...options, 'iperf', 'sh', '-c', 'exec /usr/bin/iperf3 -s > /dev/null').trim();
  const [details] = JSON.parse(ask('inspect', id)) as [
    { NetworkSettings: { Networks: { bridge: { IPAddress: string } } } },
  ];
  return details.NetworkSettings.Networks.bridge.IPAddress;
}

function transfers(
  name: string,
  run: (command: readonly string[]) => string,
  server: string,
  transfer: Transfer,
): Variant {
  // A server of iperf3 does not listen for a moment after each transfer.
  const attempt = (left: number): string => {
    try {
      return run(iperfArguments(server, transfer));
    } catch (error) {
      const refused = /unable to connect to server/.test((error as { stdout?: string }).stdout ?? '');
      if (!refused || left === 0) throw error;
      return attempt(left - 1);
    }
  };
  return {
    name,
    run: async () => arrivalMs(attempt(MOST_ATTEMPTS), transfer),
  };
}

interface Comparison {
  readonly title: string;
  readonly transfer: Transfer;
  readonly own: Variant;
  readonly peer: Variant;
}

/** The median of the ratios within each round. */
async function compare({
  title,
  transfer,
  own,
  peer,
}: Comparison): Promise<{ row: string[]; ratio: number }> {
  const [mine, theirs] = await interleave([own, peer], TRANSFERS, 1);
  const ratios = (theirs?.timesMs ?? []).map((time, round) => time / (mine?.timesMs[round] ?? Number.NaN));
  const ratio = median(ratios);
  const rate = (sample?: Sample): string => {
    const perSecond = transfer.bytes / (median(sample?.timesMs ?? []) / 1000);
    return transfer.datagramBytes === undefined
      ? `${((perSecond * 8) / 1e9).toFixed(2)} Gbit/s`
      : `${Math.round(perSecond / transfer.datagramBytes / 1000)} 000/s`;
  };
  return { row: [title, rate(mine), rate(theirs), ratio.toFixed(2), String(TRANSFERS)], ratio };
}

async function measureContainers(berth: Engine, docker: Engine): Promise<string> {
  const asks = [clientOf(BERTH, berth), clientOf('docker', docker)] as const;
  const servers = asks.map((ask) => serve(ask, '--name', 'server'));
  for (const ask of asks) ask('run', '-d', '--name', 'client', 'iperf', 'sleep', '100000');
  const variant = (index: 0 | 1, transfer: Transfer): Variant =>
    transfers(
      String(index),
      (command) => asks[index]('exec', 'client', ...command),
      servers[index] ?? '',
      transfer,
    );
  const line = (title: string, transfer: Transfer) =>
    compare({ title, transfer, own: variant(0, transfer), peer: variant(1, transfer) });
  const stream = await line('TCP stream', { bytes: 1 << 29 });
  const small = await line('UDP datagrams of 64 bytes that arrive', { bytes: 4 << 20, datagramBytes: 64 });
  for (const ask of asks) ask('rm', '-f', 'server', 'client');
  return [
    table(['', 'Berth', 'Docker', 'ratio', 'rounds'], [stream.row, small.row]),
    '\n',
    promise('container to container: at least 0.95 of Docker’s throughput', stream.ratio, 0.95, true),
  ].join('');
}

async function measureVms(folder: string, berth: Engine): Promise<string> {
  await using plain = await startPlainVm(folder, VM_MEMORY_MIB);
  const ask = clientOf(BERTH, berth);
  const server = serve(ask, '--name', 'server', '--isolation', 'vm', '--memory', `${VM_MEMORY_MIB}m`);
  ask('run', '-d', '--name', 'client', 'iperf', 'sleep', '100000');
  const line = (title: string, transfer: Transfer) =>
    compare({
      ...{ title, transfer },
      own: transfers('own', (command) => ask('exec', 'client', ...command), server, transfer),
      peer: transfers('peer', (command) => plain.run(...command), PLAIN_VM, transfer),
    });
  const into = await line('container to VM', { bytes: 64 << 20 });
  const from = await line('VM to container', { bytes: 64 << 20, reverse: true });
  ask('rm', '-f', 'server', 'client');
  return [
    table(['TCP stream', 'Berth', 'plain QEMU', 'ratio', 'rounds'], [into.row, from.row]),
    '\n',
    promise('VM to container: at least 0.9 of plain QEMU’s throughput', from.ratio, 0.9, true),
    promise('container to VM: at least 0.9 of plain QEMU’s throughput', into.ratio, 0.9, true),
  ].join('');
}

assertOwnNamespace();
const folder = scratch();
packIperf(folder);
try {
  await using docker = await startDocker(folder, 'bridge');
  await using berth = await startBerth(folder);
  await succeed('docker', ['import', `${folder}/iperf.tar`, 'iperf'], docker.env);
  await succeed(BERTH, ['import', `${folder}/iperf.tar`, 'iperf'], berth.env);
  const [berthApi, dockerApi] = [new Api(berth.socket), new Api(docker.socket)];
  stdout.write(heading('Networks', 'npm run bench -- network') + hostClass());
  stdout.write(
    '\n`true` in a container over the Docker Engine API, from the first request until it is removed:\n\n',
  );
  stdout.write(describeStarts(await runStarts(berthApi, dockerApi)));
  berthApi.close();
  dockerApi.close();
  stdout.write('\nBetween two containers on the default bridge (iperf3, one connection):\n\n');
  stdout.write(await measureContainers(berth, docker));
  stdout.write(
    '\nBetween a VM (256 MiB, 1 vCPU, TCG) and a container, and a plain QEMU and a namespace:\n\n',
  );
  stdout.write(await measureVms(folder, berth));
} finally {
  removeScratch(folder);
}
