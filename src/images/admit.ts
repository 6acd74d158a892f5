// From blobs in the content store to unpacked layers: the part that load, import and base images share.

import { BerthError, type OnProgress } from '../core/index.ts';
import { shortId } from './digest.ts';
import type { LeaseGroup } from './leases.ts';
import type { Documents, Library } from './library.ts';

const PARALLEL_LAYERS = 2;
const PROGRESS_STEP_BYTES = 4 << 20;

export interface AdmitOptions {
  readonly lease: LeaseGroup;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Reads the image's documents, checks that all of it is there and unpacks its layers; `register` can follow. */
export async function admit(
  library: Library,
  manifestDigest: string,
  what: string,
  options: AdmitOptions,
): Promise<Documents> {
  const documents = await library.readDocuments(manifestDigest, what);
  library.hold(options.lease, manifestDigest, documents);
  for (const { digest } of documents.manifest.layers)
    if (!library.blobs.has(digest))
      throw new BerthError('invalid-argument', `${what}: layer ${digest} is missing`);
  await unpackLayers(library, documents, options);
  return documents;
}

/** Makes every layer of the image ready. Layers are independent in overlayfs form, so two are unpacked at a time. */
export async function unpackLayers(
  library: Library,
  { manifest, config }: Documents,
  options: Omit<AdmitOptions, 'lease'>,
): Promise<void> {
  const jobs = config.diffIds.map((diffId, index) => ({
    diffId,
    digest: manifest.layers[index]?.digest ?? '',
  }));
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  const worker = async () => {
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) {
      const { diffId, digest } = job;
      await library.layers.add(diffId, () => reading(library, diffId, digest, options.onProgress), signal);
    }
  };
  const results = await Promise.allSettled(
    Array.from({ length: PARALLEL_LAYERS }, () =>
      worker().catch((error: unknown) => {
        stop.abort();
        throw error;
      }),
    ),
  );
  throwFirst(results);
}

/** Throws the error that came first in substance: one that is not the cancellation that followed from it. */
export function throwFirst(results: readonly PromiseSettledResult<unknown>[]): void {
  const reasons = results.flatMap((result) =>
    result.status === 'rejected' ? [result.reason as unknown] : [],
  );
  const cause = reasons.find((reason) => !(reason instanceof BerthError && reason.code === 'cancelled'));
  if (reasons.length > 0) throw cause ?? reasons[0];
}

async function* reading(
  library: Library,
  diffId: string,
  digest: string,
  onProgress: OnProgress | undefined,
): AsyncGenerator<Buffer> {
  const total = library.blobs.size(digest);
  let current = 0;
  let reported = 0;
  const report = () =>
    onProgress?.({ status: 'Loading layer', id: shortId(diffId), progressDetail: { current, total } });
  for await (const chunk of library.blobs.read(digest)) {
    current += chunk.length;
    yield chunk;
    if (current - reported < PROGRESS_STEP_BYTES) continue;
    reported = current;
    report();
  }
  report();
}
