// One control-group file to write, and Docker's scales on those of the kernel.

export interface CgroupWrite {
  readonly controller: string;
  readonly file: string;
  readonly value: string;
  /** Kernels may lack the file (swap accounting, I/O scheduler): then the limit is left out rather than failing. */
  readonly optional: boolean;
  /** MAJOR:MINOR of the disk whose line this is, in a file that has one for each. */
  readonly device?: string;
}

/** Docker's CPU shares (2-262144) on version 2's scale of weights (1-10000), as the OCI runtimes convert them. */
export function cpuWeight(shares: number): number {
  return Math.floor(1 + ((Math.max(shares, 2) - 2) * 9999) / 262142);
}

/** Docker's blkio weight (10-1000) on version 2's io.weight scale (1-10000). */
export function ioWeight(weight: number): number {
  return Math.floor(1 + ((weight - 10) * 9999) / 990);
}
