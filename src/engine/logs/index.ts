// Reading of json-file logs, which the shim writes. Owns the tail, the time window, following and rotation; never
// writes or deletes a log and keeps no state between two readings.
// Invariant: nothing is polled and no file is read twice or from its start when only its end is wanted.

export * from './entry.ts';
export * from './read.ts';
