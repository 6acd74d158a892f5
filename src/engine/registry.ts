// All workloads by id, name and prefix of an id.

import { BerthError } from '../core/index.ts';
import type { Workload } from './workload.ts';

/** What a workload that is being made will use. */
export interface Reservation {
  readonly name: string;
  readonly imageId: string;
  readonly volumes: readonly string[];
}

export class Registry {
  readonly #byId = new Map<string, Workload>();
  /** Name to id. A name is taken from the moment a workload is asked for until it is gone. */
  readonly #names = new Map<string, string>();
  readonly #reservations = new Map<string, Reservation>();

  isTaken(name: string): boolean {
    return this.#names.has(name);
  }

  /** Fails with `conflict` in Docker's words. */
  reserveName(name: string, id: string): void {
    const owner = this.#names.get(name);
    if (owner !== undefined)
      throw new BerthError(
        'conflict',
        `Conflict. The container name "/${name}" is already in use by container "${owner}". You have to remove (or rename) that container to be able to reuse that name.`,
      );
    this.#names.set(name, id);
  }

  /** Frees the name, unless another workload has it by now. */
  releaseName(name: string, id: string): void {
    if (this.#names.get(name) === id) this.#names.delete(name);
  }

  /** Keeps what a workload that is being made will use from being removed, until it is there or the hold disposed. */
  reserve(id: string, reservation: Reservation): Disposable {
    this.#reservations.set(id, reservation);
    return { [Symbol.dispose]: () => void this.#reservations.delete(id) };
  }

  add(workload: Workload): void {
    this.#byId.set(workload.id, workload);
  }

  delete(workload: Workload): void {
    this.#byId.delete(workload.id);
    this.releaseName(workload.name, workload.id);
  }

  /** Oldest first. */
  all(): Workload[] {
    return [...this.#byId.values()];
  }

  has(id: string): boolean {
    return this.#byId.has(id);
  }

  /** By id, name, or a prefix of an id that only one has. */
  find(reference: string): Workload {
    const name = reference.startsWith('/') ? reference.slice(1) : reference;
    const exact = this.#byId.get(name) ?? this.#byId.get(this.#names.get(name) ?? '');
    if (exact !== undefined) return exact;
    const matches = /^[0-9a-f]{1,63}$/.test(name)
      ? this.all().filter((workload) => workload.id.startsWith(name))
      : [];
    if (matches.length > 1)
      throw new BerthError('invalid-argument', `Multiple IDs found with provided prefix: ${name}`);
    const match = matches[0];
    if (match === undefined) throw new BerthError('not-found', `No such container: ${reference}`);
    return match;
  }

  /** Ids of the workloads that mount the volume, or are about to. */
  usersOf(volume: string): string[] {
    const mounting = this.all().filter(({ record }) =>
      record.mounts.some(({ type, name }) => type === 'volume' && name === volume),
    );
    const coming = [...this.#reservations].filter(([, { volumes }]) => volumes.includes(volume));
    return [...mounting.map(({ id }) => id), ...coming.map(([id]) => id)];
  }

  imagesInUse(): ReadonlyMap<string, readonly string[]> {
    const users = new Map<string, string[]>();
    const uses = [
      ...this.all().map(({ record, name }) => ({ imageId: record.imageId, name })),
      ...this.#reservations.values(),
    ];
    for (const { imageId, name } of uses) users.set(imageId, [...(users.get(imageId) ?? []), name]);
    return users;
  }
}
