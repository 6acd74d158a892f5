// Machines that wait: forked, their image mounted, a first process run, stopped. A start takes one over. How many wait
// follows use; after a while without, none does.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config, DriverFigures, InstanceSpec } from '../../core/index.ts';
import type { ShimClient } from '../../guest/index.ts';
import { KeptProgram, readIfExists, spawnStream, supervisorFolders } from '../../host/index.ts';
import type { FieldRecord } from './config.ts';
import { type Keeper, Keepers, makeKept, settled } from './kept-folder.ts';
import type { WritableDisks } from './writable-disk.ts';

/** What a machine that waits must agree with an instance in. */
export interface PoolWish {
  readonly key: string;
  /** Whether its disk is thrown away in the end. */
  readonly ephemeral: boolean;
  /** The vm.machine of one that waits in a folder. */
  readonly machine: (id: string, writable: string) => FieldRecord;
}

interface Kind {
  wish: PoolWish;
  /** When it was started lately. */
  starts: number[];
  readonly waiting: ShimClient[];
  timer?: NodeJS.Timeout;
}

/** Two starts within this time are a habit. */
const HABIT_MS = 5 * 60_000;
/** Starts within this time tell how many may be wanted at once. */
const BURST_MS = 30_000;
const MOST_OF_A_KIND = 3;
/** What one holds that waits, as measured (bench/vm-instant.ts): what its kernel and the rehearsal have touched. */
const WAITING_BYTES = 44 << 20;
/** After the host ran short of memory none is made for this long. */
const RELIEF_MS = 60_000;
/** Below this share of the host's memory free, none is made. */
const FREE_MEMORY_SHARE = 0.25;
/** The start that was just made, and what follows on it, come first. */
const PATIENCE_MS = 150;

export interface PoolOptions {
  readonly shimPath: string;
  readonly cacheDir: string;
  readonly config: () => Config;
  /** Prints a line when the host runs short of memory. */
  readonly pressureCommand: readonly [file: string, ...args: string[]];
}

export class Pool {
  readonly #keepers: Keepers;
  readonly #folder: string;
  readonly #config: () => Config;
  readonly #pressureCommand: PoolOptions['pressureCommand'];
  readonly #disks: WritableDisks;
  /** Tells of shortage of memory, as long as machines wait. */
  #watch: KeptProgram | undefined;
  #shortAt = Number.NEGATIVE_INFINITY;
  readonly #kinds = new Map<string, Kind>();
  #closed = false;
  #filling: Promise<void> | undefined;
  #hits = 0;
  #misses = 0;

  constructor(options: PoolOptions, disks: WritableDisks) {
    this.#keepers = new Keepers(options.shimPath);
    this.#folder = join(options.cacheDir, 'pool');
    this.#config = options.config;
    this.#pressureCommand = options.pressureCommand;
    this.#disks = disks;
  }

  figures(): Pick<DriverFigures, 'waiting' | 'hits' | 'misses'> {
    const waiting = [...this.#kinds.values()].reduce((sum, kind) => sum + kind.waiting.length, 0);
    return { waiting, hits: this.#hits, misses: this.#misses };
  }

  facts(): Record<string, string> {
    const { waiting, hits, misses } = this.figures();
    return { pool: `${waiting} waiting, ${hits} hits, ${misses} misses` };
  }

  /** What nobody may ever want goes first when the host needs memory. */
  #relieve(): void {
    this.#shortAt = Date.now();
    for (const key of [...this.#kinds.keys()]) this.#drop(key);
  }

  /** The kernel is asked to tell: that costs nothing until it does. A host that cannot tell is looked at before each is made. */
  #watchMemory(): void {
    if (this.#watch !== undefined) return;
    const [file, ...args] = this.#pressureCommand;
    this.#watch = new KeptProgram(() => {
      const child = spawnStream(file, args);
      child.stdout.on('data', () => this.#relieve());
      child.stderr.resume();
      child.unref();
      return child;
    });
  }

  /** Ends all that wait; resolves when they are gone. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#watch?.close();
    const kinds = [...this.#kinds.values()];
    this.#kinds.clear();
    for (const kind of kinds) clearTimeout(kind.timer);
    await this.#keepers.close();
    await settled([this.#filling]);
  }

  has(key: string): boolean {
    return (this.#kinds.get(key)?.waiting.length ?? 0) > 0;
  }

  missed(): void {
    this.#misses++;
  }

  /** Hands one that waits over to the instance, whose folder has its description; undefined when there is none. */
  async claim(key: string, spec: InstanceSpec): Promise<ShimClient | undefined> {
    const client = this.#kinds.get(key)?.waiting.shift();
    if (client === undefined) {
      this.#misses++;
      return undefined;
    }
    this.#keepers.release(client);
    client.ref();
    try {
      const { log, process } = spec;
      await client.prepare('become', {
        ...{
          dir: spec.dir,
          id: spec.id,
          tty: process.tty,
          stdin: process.stdin,
          'no-log': log.driver === 'none',
        },
        ...{ 'log-max-bytes': log.maxBytes, 'log-max-files': log.maxFiles },
        ...supervisorFolders(spec.cgroupPath),
      });
    } catch {
      client.close();
      await client.ended();
      this.#misses++;
      return undefined;
    }
    this.#hits++;
    void rm(client.dir, { recursive: true, force: true }).catch(() => {});
    return client.at(spec.dir);
  }

  /** An instance of this kind was started: the next may be like it; it will, where the user asked for the pool. */
  used(wish: PoolWish, asked: boolean): void {
    const now = Date.now();
    const kind = this.#kinds.get(wish.key) ?? { wish, starts: [], waiting: [] };
    this.#kinds.set(wish.key, kind);
    kind.wish = wish;
    kind.starts = [...kind.starts.filter((at) => now - at < HABIT_MS), now, ...(asked ? [now] : [])];
    clearTimeout(kind.timer);
    kind.timer = setTimeout(() => this.#drop(wish.key), HABIT_MS);
    kind.timer.unref();
    setTimeout(() => this.#fill(), PATIENCE_MS).unref();
  }

  #drop(key: string): void {
    const kind = this.#kinds.get(key);
    this.#kinds.delete(key);
    clearTimeout(kind?.timer);
    for (const client of kind?.waiting ?? []) client.close();
  }

  #fill(): void {
    if (this.#closed) return;
    this.#watchMemory();
    this.#filling ??= this.#fillAll()
      .catch(() => {})
      .finally(() => {
        this.#filling = undefined;
      });
  }

  async #fillAll(): Promise<void> {
    for (let kind = this.#lacking(); kind !== undefined; kind = this.#lacking()) {
      if (!(await hasMemory())) return;
      const client = await this.#make(kind.wish);
      if (this.#kinds.get(kind.wish.key) !== kind) client.close();
      else kind.waiting.push(client);
    }
  }

  #lacking(): Kind | undefined {
    if (this.#closed || Date.now() - this.#shortAt < RELIEF_MS) return undefined;
    const kinds = [...this.#kinds.values()];
    const config = this.#config();
    const most = Math.min(config['vm.pool.machines'], Math.floor(config['vm.pool.memory'] / WAITING_BYTES));
    if (kinds.reduce((sum, kind) => sum + kind.waiting.length, 0) >= most) return undefined;
    return kinds.find((kind) => kind.waiting.length < wanted(kind));
  }

  async #make(wish: PoolWish): Promise<ShimClient> {
    const kept = await makeKept(this.#folder);
    const writable = join(kept.dir, 'writable.ext4');
    let keeper: Keeper | undefined;
    try {
      await this.#disks.make(writable, wish.ephemeral);
      keeper = await this.#keepers.start(kept, wish.machine(kept.id, writable));
      const { client } = keeper;
      void client.gone.then(() => this.#forget(client));
      await client.prepare('hold');
      client.unref();
      return client;
    } catch (error) {
      keeper?.client.close();
      await settled([keeper?.ended]);
      await rm(kept.dir, { recursive: true, force: true });
      throw error;
    }
  }

  #forget(client: ShimClient): void {
    for (const kind of this.#kinds.values()) {
      const at = kind.waiting.indexOf(client);
      if (at >= 0) kind.waiting.splice(at, 1);
    }
    void rm(client.dir, { recursive: true, force: true }).catch(() => {});
  }
}

function wanted(kind: Kind): number {
  if (kind.starts.length < 2) return 0;
  const lately = kind.starts.filter((at) => Date.now() - at < BURST_MS).length;
  return Math.min(MOST_OF_A_KIND, Math.max(1, Math.floor(lately / 2)));
}

async function hasMemory(): Promise<boolean> {
  const text = (await readIfExists('/proc/meminfo')) ?? '';
  const number = (name: string) => Number(new RegExp(`^${name}: +(\\d+)`, 'm').exec(text)?.[1] ?? 0);
  return number('MemAvailable') > FREE_MEMORY_SHARE * number('MemTotal');
}
