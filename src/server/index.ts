// The daemon's HTTP face: the Docker Engine API, and Berth's own under /berth/v1/.
// Owns routes, status codes, streams, and the translation between the wire's words and the core's.
// Never knows a driver, and keeps no state: whatever a request changes, it changes through the engine or the store.
// Invariant: every failure reaches the client as {"message"} with a status, or, once an answer has begun, as a cut
// connection or an error message in the stream; it never ends the daemon.

export { createServer, type ServerOptions } from './create.ts';
export { type DaemonOptions, runDaemon } from './daemon.ts';
export { type Host, type Listening, listen, parseHost } from './listen.ts';
export type { Services } from './routes/index.ts';
