// The vocabulary of Berth. Owns names, shapes, states and the one error class, as types and constants.
// Never does anything: no input, no output, no state of its own.
// Invariant: every other room may import this one, and this one imports none.

export * from './capabilities.ts';
export * from './config.ts';
export * from './driver.ts';
export * from './errors.ts';
export * from './figures.ts';
export * from './image.ts';
export * from './network.ts';
export * from './spec.ts';
export * from './state.ts';
export * from './workload.ts';
