// Running states that are kept, and copies of workloads: /berth/v1/checkpoints and /berth/v1/workloads/NAME/fork.

import { Fields, given } from './fields.ts';

export interface CheckpointView {
  readonly id: string;
  readonly name: string;
  /** RFC 3339. */
  readonly createdAt: string;
  readonly workloadId: string;
  readonly workloadName: string;
  readonly image: string;
  /** How long the workload stood still for it. */
  readonly pauseMs: number;
  readonly sizeBytes: number;
}

export interface CopyRequest {
  /** How many copies; absent: one. */
  readonly count?: number;
  /** Of the only copy, or what the names of several begin with. */
  readonly name?: string;
}

export interface Copied {
  readonly copies: readonly { readonly id: string; readonly name: string }[];
  /** How long the source stood still; absent for a checkpoint that is restored. */
  readonly pauseMs?: number;
}

/** Fails with FieldError. */
export function readCopyRequest(body: unknown): CopyRequest {
  const fields = new Fields(body);
  return { ...given('count', fields.integer('count')), ...given('name', fields.string('name')) };
}
