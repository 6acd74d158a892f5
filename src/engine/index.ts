// The engine: what users asked for, made to last. Owns ROOT/workloads, ROOT/volumes and ROOT/trash: records, life
// cycle, restart policies, health checks, execs, logs, events, adoption after a restart. Never imports a driver or
// speaks HTTP: drivers and the image store are given to it, the server calls it.
// Invariant: the daemon may be killed at any instant. Workloads go on; records are whole; the next engine on the same
// root takes over, finishes or undoes. A record survives the death of the daemon, but is not flushed to disk: after a
// power failure the last seconds may be missing, as the workloads themselves are.

export * from './api.ts';
export { ConfigStore } from './config.ts';
export * from './engine.ts';
export * from './figures/starts.ts';
