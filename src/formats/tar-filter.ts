// Leaves entries out of a tar stream; those that stay pass through byte for byte, extended attributes and all.

import { ByteReader } from './byte-reader.ts';
import { applyMeta, isMeta, type Overrides, takeMeta, truncated } from './tar.ts';
import { BLOCK_BYTES, padding, parseHeader } from './tar-header.ts';

/**
 * The stream without the entries that `keep` refuses and without its end mark. `keep` is given the name, a character for each
 * byte, without slashes or `./` before it. Fails with `invalid-argument` when the stream is no tar or is truncated.
 */
export async function* filterTar(
  source: AsyncIterable<Uint8Array>,
  keep: (name: string) => boolean,
): AsyncGenerator<Buffer> {
  const reader = new ByteReader(source);
  try {
    let before: Buffer[] = [];
    let overrides: Overrides = {};
    for (;;) {
      if ((await reader.peek(1)).length === 0) return;
      const header = await reader.take(BLOCK_BYTES);
      if (header === undefined) throw truncated();
      if (header.every((byte) => byte === 0)) return await reader.finish();
      const { entry, flag } = parseHeader(header, 'latin1');
      if (isMeta(flag)) {
        const data = await takeMeta(reader, entry);
        before.push(header, data, padding(entry.sizeBytes));
        overrides = applyMeta(overrides, flag, data, 'latin1');
        continue;
      }
      const merged = { ...entry, ...overrides };
      const kept = keep(merged.name.replace(/^(\.?\/)+/, ''));
      if (kept) for (const block of [...before, header]) yield block;
      const size = merged.type === 'file' || merged.type === 'other' ? merged.sizeBytes : 0;
      for (let left = size + padding(size).length; left > 0; ) {
        const chunk = await reader.takeSome(left);
        if (chunk === undefined) throw truncated();
        left -= chunk.length;
        if (kept) yield chunk;
      }
      before = [];
      overrides = {};
    }
  } finally {
    await reader.close();
  }
}
