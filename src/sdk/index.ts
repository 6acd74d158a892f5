// The SDK: Berth's daemon as TypeScript objects, over the Docker Engine API on a unix socket or TCP.
// Owns: connections, HTTP framing, streams, the table from HTTP status to error code.
// Never: starts a daemon, reads the environment, prints.
// Invariant: every failure is a BerthSdkError whose message is the daemon's own where it answered.
//
//   using berth = connect();
//   await using box = await berth.run('busybox', ['echo', 'hi'], { isolation: 'vm' });
//   console.log((await box.finished()).stdout);

export { type Address, DEFAULT_HOST, formatAddress, parseAddress } from './address.ts';
export { type OutputChunk, outputChunks } from './body.ts';
export type { Box, BoxOptions, Finished } from './box.ts';
export type { RawStream } from './call.ts';
export { BerthClient, type ConnectOptions, connect } from './client.ts';
export { BerthSdkError, type SdkErrorCode } from './errors.ts';
export type * from './types.ts';
