// Virtual machines as QEMU knows them. Owns the machine description and its command line, the choice of accelerator, and
// kernels made ready to boot. Never starts or supervises a machine (the shim does) and knows no workloads or images.
// Invariant: `machineArguments` is pure, and what it yields names no host path that QEMU itself would have to open.

export * from './accelerator.ts';
export * from './initrd.ts';
export * from './kernel.ts';
export * from './machine.ts';
export * from './virtiofsd.ts';
