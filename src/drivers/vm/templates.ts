// Templates: machines booted once and saved, of which others are copies. Each is kept by a shim of its own for as long as
// this process holds on to it; with the shim it is gone, whatever happened. Made in the background, one at a time.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BerthError, type DriverFigures, errorMessage } from '../../core/index.ts';
import { field, type ShimClient } from '../../guest/index.ts';
import { readIfExists } from '../../host/index.ts';
import { type MachineFiles, type MachineShape, type TemplateFiles, templateFields } from './config.ts';
import { type Keeper, Keepers, makeKept, settled } from './kept-folder.ts';

export interface TemplateWish {
  readonly shape: MachineShape;
  readonly files: Pick<MachineFiles, 'qemu' | 'kernel' | 'initrd'>;
  /** What stands for this QEMU, so that another one makes templates of its own. */
  readonly qemuMark: string;
}

interface Template {
  readonly key: string;
  readonly files: TemplateFiles;
  /** What it takes of the host's memory. */
  readonly heldBytes: number;
  readonly client: ShimClient;
  usedAt: number;
}

interface Failed {
  readonly at: number;
  readonly message: string;
}

/** More shapes of machines than this are not kept at once. */
const MOST = 4;
const IDLE_MS = 30 * 60_000;
/** After a failure nobody tries again unasked for this long. */
const RETRY_MS = 60_000;

export function keyOf({ shape, files, qemuMark }: TemplateWish): string {
  const { accelerator, memoryBytes, cpus, nics, directKernel, tscKhz } = shape;
  const machine = [accelerator, memoryBytes, cpus, nics, directKernel, tscKhz ?? 0];
  return [...machine, files.qemu, qemuMark, files.kernel.path, files.initrd].join('\n');
}

export class Templates {
  readonly #keepers: Keepers;
  readonly #folder: string;
  readonly #ready = new Map<string, Template>();
  readonly #making = new Map<string, Promise<Template>>();
  readonly #failed = new Map<string, Failed>();
  #closed = false;
  #turn: Promise<unknown> | undefined;
  #forks = 0;
  #boots = 0;
  #lastFailure: string | undefined;

  constructor(shimPath: string, folder: string) {
    this.#keepers = new Keepers(shimPath);
    this.#folder = folder;
  }

  /** Gives all up; resolves when their keepers are gone. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#ready.clear();
    await this.#keepers.close();
    await settled(this.#making.values());
  }

  /** The template for this, if it is there. */
  find(wish: TemplateWish): TemplateFiles | undefined {
    const template = this.#ready.get(keyOf(wish));
    if (template !== undefined) template.usedAt = Date.now();
    return template?.files;
  }

  /** The template for this, made if need be. */
  async need(wish: TemplateWish): Promise<TemplateFiles> {
    const key = keyOf(wish);
    const template = this.#ready.get(key) ?? (await (this.#making.get(key) ?? this.#begin(key, wish)));
    template.usedAt = Date.now();
    return template.files;
  }

  /** Makes it in the background, unless that failed just before. */
  want(wish: TemplateWish): void {
    const key = keyOf(wish);
    if (this.#ready.has(key) || this.#making.has(key)) return;
    if (Date.now() - (this.#failed.get(key)?.at ?? 0) < RETRY_MS) return;
    void this.#begin(key, wish).catch(() => {});
  }

  /** A start went well: as a copy or not. */
  count(forked: boolean): void {
    if (forked) this.#forks++;
    else this.#boots++;
  }

  /** A machine could not be made from it: another one is to take its place. */
  spoiled(wish: TemplateWish, failure: string): void {
    this.#lastFailure = failure;
    const template = this.#ready.get(keyOf(wish));
    if (template !== undefined) this.#drop(template);
  }

  figures(): Omit<DriverFigures, 'waiting' | 'hits' | 'misses'> {
    const ready = [...this.#ready.values()];
    return {
      templates: ready.length,
      templateBytes: ready.reduce((sum, { heldBytes }) => sum + heldBytes, 0),
      forked: this.#forks,
      booted: this.#boots,
    };
  }

  facts(): Record<string, string> {
    const list = [...this.#ready.values()].map((template) => {
      const [, memory, cpus] = template.key.split('\n').map(Number);
      return `${(memory ?? 0) >> 20} MiB/${cpus} CPU (${template.heldBytes >> 20} MiB held)`;
    });
    const failure = this.#lastFailure ?? [...this.#failed.values()].at(-1)?.message;
    return {
      templates: [...list, ...(this.#making.size > 0 ? [`${this.#making.size} being made`] : [])].join(', '),
      starts: `${this.#forks} forked, ${this.#boots} booted`,
      ...(failure === undefined ? {} : { templateFailure: failure }),
    };
  }

  #begin(key: string, wish: TemplateWish): Promise<Template> {
    const made = (this.#turn ?? Promise.resolve()).then(() => this.#make(key, wish));
    this.#turn = made.catch(() => {});
    this.#making.set(key, made);
    made
      .then(
        (template) => this.#keep(template),
        (error: unknown) => this.#failed.set(key, { at: Date.now(), message: errorMessage(error) }),
      )
      .finally(() => this.#making.delete(key));
    return made;
  }

  async #make(key: string, wish: TemplateWish): Promise<Template> {
    if (this.#closed) throw new BerthError('cancelled', 'no template is made any more');
    const kept = await makeKept(this.#folder);
    const { id, dir } = kept;
    const { memoryBytes } = wish.shape;
    let keeper: Keeper | undefined;
    try {
      const machine = templateFields(wish.shape, wish.files, id);
      keeper = await this.#keepers.start(kept, machine, ['--no-log']);
      const { client } = keeper;
      void client.gone.then(() => this.#forget(key, client));
      const said = await client.prepare('hold');
      client.unref();
      const number = (name: string) => Number(field(said, name) ?? 0);
      const files = {
        ...{ memory: join(dir, 'memory'), memoryBytes, state: join(dir, 'state') },
        ...{ stateBytes: number('state_bytes'), stateSum: field(said, 'state_sum') ?? '' },
      };
      return { key, files, heldBytes: number('held_bytes'), client, usedAt: Date.now() };
    } catch (error) {
      // Before it is gone, and its folder with it.
      const text = (await readIfExists(join(dir, 'shim.err')))?.trim();
      keeper?.client.close();
      await settled([keeper?.ended]);
      await rm(dir, { recursive: true, force: true });
      const message = `a template for the VM cannot be made: ${errorMessage(error)}${text ? `: ${text}` : ''}`;
      throw new BerthError('unavailable', `${message}; --boot cold does without`, { cause: error });
    }
  }

  #keep(template: Template): void {
    this.#failed.delete(template.key);
    this.#ready.set(template.key, template);
    const byAge = [...this.#ready.values()].sort((a, b) => a.usedAt - b.usedAt);
    for (const old of byAge.slice(0, Math.max(0, byAge.length - MOST))) this.#drop(old);
    this.#dropWhenIdle(template);
  }

  #dropWhenIdle(template: Template): void {
    setTimeout(
      () => {
        if (this.#ready.get(template.key) !== template) return;
        if (Date.now() - template.usedAt >= IDLE_MS) this.#drop(template);
        else this.#dropWhenIdle(template);
      },
      template.usedAt + IDLE_MS - Date.now(),
    ).unref();
  }

  /** Machines that are copies of it go on: they hold its memory themselves. */
  #drop(template: Template): void {
    this.#ready.delete(template.key);
    template.client.close();
  }

  #forget(key: string, client: ShimClient): void {
    if (this.#ready.get(key)?.client === client) this.#ready.delete(key);
    void rm(client.dir, { recursive: true, force: true }).catch(() => {});
  }
}
