// From what a user asked for to what a driver can make, by Docker's rules. Owns names, signals, merging, checks and
// the resolution of mounts. Never starts anything and keeps no state.
// Invariant: what cannot work is refused here, before anything is made.

export * from './checks.ts';
export * from './instance.ts';
export * from './merge.ts';
export * from './mounts.ts';
export * from './names.ts';
export * from './process-text.ts';
export * from './resources.ts';
export * from './signals.ts';
