// The workloads of one comparison: made with a label, and none of them left behind.

import { randomBytes } from 'node:crypto';
import { type Isolation, isBerthError, PLAIN_SPEC, type WorkloadSpec } from '../core/index.ts';
import type { Engine } from '../engine/api.ts';

/** Every workload that a comparison makes carries this label; its value is the comparison's own token. */
export const LABEL = 'berth.compare';

/** How a VM is to come up; explicit, so that all figures of a row are of one kind. */
export type VmBoot = 'cold' | 'fork' | 'pool';

export type SpecChange = Partial<WorkloadSpec>;

/** Makes workloads and remembers them; disposal removes what is left, also after a failure half-way. */
export class Session implements AsyncDisposable {
  readonly token = randomBytes(6).toString('hex');
  readonly engine: Engine;
  readonly imageId: string;
  /** How VMs come up unless it is said for one: as they do by default once a template is there. */
  vmBoot: VmBoot = 'fork';
  readonly #alive = new Set<string>();
  #count = 0;

  constructor(engine: Engine, imageId: string) {
    this.engine = engine;
    this.imageId = imageId;
  }

  /** Creates a workload of the image; resolves to its id and the time that the engine took. */
  async create(
    isolation: Isolation,
    change: SpecChange,
    boot: VmBoot = this.vmBoot,
  ): Promise<{ id: string; tookMs: number }> {
    const annotations = isolation === 'vm' ? { 'berth.boot': boot } : {};
    const spec = workloadSpec(this.imageId, isolation, this.token, { annotations, ...change });
    const name = `berth-compare-${this.token}-${isolation}-${++this.#count}`;
    const start = performance.now();
    const { id } = await this.engine.workloads.create(spec, name);
    const tookMs = performance.now() - start;
    this.#alive.add(id);
    return { id, tookMs };
  }

  /** Resolves to the time that the engine took. */
  async remove(id: string): Promise<number> {
    const start = performance.now();
    await this.engine.workloads.remove(id, { force: true, volumes: true });
    const tookMs = performance.now() - start;
    this.#alive.delete(id);
    return tookMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await removeAll(this.engine, [...this.#alive]);
    // One that was being created when the comparison failed is known to the engine only.
    await removeAll(this.engine, labelled(this.engine, this.token));
  }
}

function labelled(engine: Engine, token?: string): string[] {
  const views = engine.workloads.list();
  return views
    .filter((view) => (token === undefined ? LABEL in view.labels : view.labels[LABEL] === token))
    .map((view) => view.id);
}

async function removeAll(engine: Engine, ids: readonly string[]): Promise<void> {
  const ends = await Promise.allSettled(
    ids.map((id) => engine.workloads.remove(id, { force: true, volumes: true })),
  );
  const failed = ends.find((end) => end.status === 'rejected' && !isBerthError(end.reason, 'not-found'));
  if (failed?.status === 'rejected') throw failed.reason;
}

/** Removes what a comparison that was killed has left. Only one comparison runs at a time, so all are left-overs. */
export async function removeLeftovers(engine: Engine): Promise<void> {
  await removeAll(engine, labelled(engine));
}

function workloadSpec(image: string, isolation: Isolation, token: string, change: SpecChange): WorkloadSpec {
  return {
    ...PLAIN_SPEC,
    image,
    isolation,
    attachStdout: true,
    attachStderr: true,
    labels: { [LABEL]: token },
    ...change,
  };
}
