// The VM driver: an OCI image on its own kernel under QEMU. Owns image disks, writable disks and the description of a
// machine; never runs a process but through the shim, and never mounts on the host what a guest has written.
// Invariant: an instance is known by its folder alone, so that any daemon can take it over.

export { createVmDriver, type VmDriverOptions } from './driver.ts';
