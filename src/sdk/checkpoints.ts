// Running states that are kept, and copies of running workloads. Of virtual machines only: a container shares the host's
// kernel, and what it has there is not captured.

import type { CheckpointView, Copied, CopyRequest } from '../wire/checkpoint.ts';
import type { Transport } from './transport.ts';

export class Checkpoints {
  readonly #http: Transport;

  constructor(http: Transport) {
    this.#http = http;
  }

  /** Captures memory, devices and disk of a running workload, which goes on. */
  create(workload: string, options: { readonly name?: string } = {}): Promise<CheckpointView> {
    return this.#http.json('POST', `${workloadAt(workload)}/checkpoints`, { json: options });
  }

  list(): Promise<CheckpointView[]> {
    return this.#http.json('GET', '/berth/v1/checkpoints');
  }

  get(checkpoint: string): Promise<CheckpointView> {
    return this.#http.json('GET', at(checkpoint));
  }

  async remove(checkpoint: string): Promise<void> {
    await this.#http.send('DELETE', at(checkpoint));
  }

  /** New workloads that go on where the checkpoint was taken; resolves when all run. */
  restore(checkpoint: string, request: CopyRequest = {}): Promise<Copied> {
    return this.#http.json('POST', `${at(checkpoint)}/restore`, { json: request });
  }

  /** New workloads that go on where this one is now; resolves when all run. */
  fork(workload: string, request: CopyRequest = {}): Promise<Copied> {
    return this.#http.json('POST', `${workloadAt(workload)}/fork`, { json: request });
  }
}

const at = (checkpoint: string) => `/berth/v1/checkpoints/${encodeURIComponent(checkpoint)}`;
const workloadAt = (workload: string) => `/berth/v1/workloads/${encodeURIComponent(workload)}`;
