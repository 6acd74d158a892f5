// The host half of the supervisor and guest protocol (docs/guest-protocol.md).
// Owns connections to shims and their translation into processes, files and exit statuses. Never starts a shim (its
// driver does), never keeps durable state. Invariant: what goes wrong at the other end arrives as a BerthError.

export * from './connection.ts';
export * from './endpoints.ts';
export * from './exit.ts';
export * from './files.ts';
export * from './identity.ts';
export * from './limits.ts';
export * from './process-io.ts';
export * from './shim-client.ts';
export * from './shim-process.ts';
export * from './sources.ts';
