// Files of a workload, running or not.

import { BerthSdkError } from './errors.ts';
import type { Transport } from './transport.ts';
import type { Change, PathStat } from './types.ts';

const STAT_HEADER = 'x-docker-container-path-stat';

export class ContainerFiles {
  readonly #http: Transport;

  constructor(http: Transport) {
    this.#http = http;
  }

  async stat(id: string, path: string): Promise<PathStat> {
    const answer = await this.#http.call('HEAD', archive(id), { query: { path } });
    await answer.drain();
    return decodeStat(answer.headers[STAT_HEADER]);
  }

  /** A tar of the path, its entries named from its base name on, those of the root from "/" on. */
  async read(id: string, path: string): Promise<{ stat: PathStat; tar: AsyncIterable<Buffer> }> {
    const answer = await this.#http.call('GET', archive(id), { query: { path } });
    return { stat: decodeStat(answer.headers[STAT_HEADER]), tar: answer.body };
  }

  /** Unpacks a tar into the folder `path`. */
  async write(
    id: string,
    path: string,
    tar: AsyncIterable<Uint8Array>,
    options: { readonly noOverwriteDirNonDir?: boolean; readonly copyUidGid?: boolean } = {},
  ): Promise<void> {
    const query = {
      path,
      noOverwriteDirNonDir: options.noOverwriteDirNonDir,
      copyUIDGID: options.copyUidGid,
    };
    await this.#http.send('PUT', archive(id), { query, stream: tar });
  }

  async changes(id: string): Promise<Change[]> {
    const list = await this.#http.json<Change[] | null>(
      'GET',
      `/containers/${encodeURIComponent(id)}/changes`,
    );
    return list ?? [];
  }

  /** A tar of the whole root file system. */
  async export(id: string): Promise<AsyncIterable<Buffer>> {
    return (await this.#http.call('GET', `/containers/${encodeURIComponent(id)}/export`)).body;
  }
}

function archive(id: string): string {
  return `/containers/${encodeURIComponent(id)}/archive`;
}

function decodeStat(header: string | undefined): PathStat {
  try {
    return JSON.parse(Buffer.from(header ?? '', 'base64').toString()) as PathStat;
  } catch (cause) {
    throw new BerthSdkError('internal', 'the daemon answered without the stat of the path', { cause });
  }
}
