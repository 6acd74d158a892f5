// The public contract: the JSON of the Docker Engine API and of Berth's own endpoints, with their validators.
// Owns field names, API versions, filters, units and times as clients write them. Never interprets what is asked for.
// Invariant: imports nothing of Berth; whatever a reader returns has exactly the declared shape.

export * from './checkpoint.ts';
export * from './commit.ts';
export * from './container.ts';
export * from './exec.ts';
export * from './fields.ts';
export * from './filters.ts';
export * from './network.ts';
export * from './times.ts';
export * from './units.ts';
export * from './version.ts';
