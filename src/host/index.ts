// The only door to the operating system: programs, locks, whole-or-absent files, control groups, processes.
// Owns every use of child_process and every cgroup path. Never knows images, instances or drivers; what Node cannot
// do (mount, namespaces, extended attributes) is done by the C programs in shim/ and agent/, which it starts.
// Invariant: nothing here keeps state of its own; the kernel and the file system are the truth.

export * from './block-device.ts';
export * from './cgroup.ts';
export * from './cgroup-devices.ts';
export * from './cgroup-limits.ts';
export * from './cgroup-place.ts';
export * from './cgroup-stats.ts';
export * from './cgroup-write.ts';
export * from './descriptors.ts';
export * from './files.ts';
export * from './image-file.ts';
export * from './kept-program.ts';
export * from './lock.ts';
export * from './mutex.ts';
export * from './nft.ts';
export * from './patience.ts';
export * from './pressure.ts';
export * from './process.ts';
export { PACKAGE_OF, remedyFor } from './programs.ts';
export * from './sealed-file.ts';
export * from './semaphore.ts';
export * from './state-root.ts';
export * from './supervisor-group.ts';
