// The comparison of isolations, as a stream of progress that ends with the report.

import { jsonLines } from './body.ts';
import { BerthSdkError } from './errors.ts';
import type { Transport } from './transport.ts';

/** One line of the stream. `progress` and `report` are the compare room's own shapes. */
export interface CompareMessage<Progress = unknown, Report = unknown> {
  readonly progress?: Progress;
  readonly report?: Report;
  readonly error?: string;
}

/** Runs a comparison. Aborting the signal ends it and has its workloads removed. */
export async function* compare<Progress = unknown, Report = unknown>(
  http: Transport,
  request: object,
  options: { readonly signal?: AbortSignal } = {},
): AsyncGenerator<CompareMessage<Progress, Report>, void> {
  const answer = await http.call('POST', '/berth/v1/compare', { json: request, ...options });
  for await (const message of jsonLines<CompareMessage<Progress, Report>>(answer.body)) {
    if (message.error !== undefined) throw new BerthSdkError('internal', message.error);
    yield message;
  }
}
