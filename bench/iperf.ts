// iperf3 as an image that both engines run, and one transfer by it. A transfer is of a fixed size: its time is what is compared.

import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { env as processEnv } from 'node:process';
import type { Engine } from './engines.ts';

const IPERF = '/usr/bin/iperf3';

/** The program, the libraries it is linked with, and what it needs of the tree around it. */
export function iperfFiles(): string[] {
  const linked = execFileSync('ldd', [IPERF], { encoding: 'utf8' });
  return [IPERF, ...[...linked.matchAll(/(\/\S+) \(/g)].map((match) => match[1] ?? '')];
}

/** Adds iperf3 to the unpacked busybox of `folder` and packs both as `iperf.tar`. */
export function packIperf(folder: string): void {
  const root = join(folder, 'iperf');
  execFileSync('cp', ['-r', join(folder, 'rootfs'), root]);
  mkdirSync(join(root, 'tmp'));
  for (const path of iperfFiles()) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    execFileSync('cp', ['-L', path, join(root, path)]);
  }
  execFileSync('tar', ['-C', root, '-cf', join(folder, 'iperf.tar'), '.']);
}

/** A program's output, asked for by a client of the engine. */
export type Ask = (...args: readonly string[]) => string;

export function clientOf(program: string, engine?: Engine): Ask {
  return (...args) =>
    execFileSync(program, args, {
      encoding: 'utf8',
      env: engine?.env ?? processEnv,
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 64 << 20,
    });
}

export interface Transfer {
  readonly bytes: number;
  /** From the server to the client instead. */
  readonly reverse?: boolean;
  /** UDP datagrams of this size as fast as they can be sent; TCP otherwise. */
  readonly datagramBytes?: number;
}

/** Arguments of iperf3 for a transfer to the server there. */
export function iperfArguments(server: string, transfer: Transfer): string[] {
  const { bytes, reverse, datagramBytes } = transfer;
  const udp = datagramBytes === undefined ? [] : ['-u', '-b', '0', '-l', `${datagramBytes}`];
  return [IPERF, '-c', server, '-n', `${bytes}`, '-J', ...(reverse ? ['-R'] : []), ...udp];
}

interface Sum {
  readonly seconds: number;
  readonly bytes: number;
  readonly bits_per_second: number;
  readonly packets?: number;
  readonly lost_packets?: number;
}

interface Report {
  readonly error?: string;
  readonly end: { readonly sum_received?: Sum; readonly sum?: Sum };
}

/** Milliseconds that so many bytes took to arrive at the receiver's rate. */
export function arrivalMs(report: string, { bytes }: Transfer): number {
  const { error, end } = JSON.parse(report) as Report;
  const sum = end?.sum_received ?? end?.sum;
  if (error !== undefined || sum === undefined) throw new Error(`iperf3: ${error ?? report}`);
  const arrived = 1 - (sum.lost_packets ?? 0) / (sum.packets || 1);
  return (bytes * 8 * 1000) / (sum.bits_per_second * arrived);
}
