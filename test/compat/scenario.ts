// A scenario: something users do with the docker client, and how it must come out. Data, so that the matrix in
// docs/compatibility.md is made from the same list that is tested.

import assert from 'node:assert/strict';
import type { Docker, Result, RunOptions } from './docker.ts';

export type Isolation = 'container' | 'vm';

export interface Context {
  readonly isolation: Isolation;
  /** Addresses 10.OCTET.x.x are this client's and isolation's alone. */
  readonly octet: number;
  readonly docker: Docker;
  /** A scratch folder of this client and isolation. */
  readonly folder: string;
  /** Unique within the daemon. */
  name(stem: string): string;
  /** `run` with the isolation; asserts nothing. */
  run(args: readonly string[], options?: RunOptions): Promise<Result>;
  /** A workload that runs as long as it is wanted, shared by the scenarios that only look at it or exec in it. */
  shared(): Promise<string>;
}

export interface Scenario {
  /** A sentence about behaviour. */
  readonly title: string;
  /** Row of the matrix. */
  readonly area: string;
  /** Commands and flags that it shows to work. */
  readonly covers: string;
  /** Has nothing to do with the isolation: run once per client, with `container`. */
  readonly once?: true;
  /** Reason why only one client runs it under VMs: each boot takes seconds here, and the daemon sees the same requests. */
  readonly vmOneClient?: string;
  /** Reason why it is not run at all for an isolation: a gap. */
  readonly absent?: Readonly<Partial<Record<Isolation, string>>>;
  run(context: Context): Promise<void>;
}

/** Asserts the exit code (0 unless said otherwise) and returns the output without its last line feed. */
export function expectOk(result: Result, code = 0): string {
  assert.equal(
    result.code,
    code,
    `exit code ${result.code}\nstdout: ${result.stdout}\nstderr: ${result.stderr}`,
  );
  return result.stdout.replace(/\n$/, '');
}

export function lines(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '');
}
