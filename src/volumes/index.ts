// Volumes: folders that outlive workloads. Owns ROOT/volumes, the rules for their names, the first filling from an
// image, size limits and the count of bytes on disk. Never mounts anything where others could see it, and knows no workload: who
// uses a volume is asked through a function.
// Invariant: data in a volume is deleted only by `remove`, never for a damaged description or a failed start.

export * from './content.ts';
export * from './copy-up.ts';
export * from './disk-usage.ts';
export * from './store.ts';
