// Files of an instance through its shim: each call is one connection.

import { Readable } from 'node:stream';
import {
  BerthError,
  type FileChange,
  type FileStat,
  type Files,
  isBerthError,
  type WriteOptions,
} from '../core/index.ts';
import { encodeFields, FRAME, type Frame } from '../formats/frames.ts';
import { within } from '../host/patience.ts';
import { type Fields, type FieldValues, failure, field, type ShimConnection } from './connection.ts';
import { askIdentity, type Identity, type User } from './identity.ts';
import { SLOW_ANSWER_LIMIT_MS } from './limits.ts';

const WRITE_PART = 256 << 10;

/** How to reach a shim that has the file system mounted; `release` when done, whatever happened. */
export interface FilesAccess {
  open(): Promise<{ readonly connection: ShimConnection; release(): void }>;
  /** The workload's: the owner of what is written with `copyUidGid`. Where it has none, owners are the archive's. */
  user(): User;
}

interface Begun {
  readonly connection: ShimConnection;
  readonly opened: Fields;
  release(): void;
  /** Closes the connection, too. */
  readonly end: () => void;
}

export class ShimFiles implements Files {
  readonly #access: FilesAccess;

  constructor(access: FilesAccess) {
    this.#access = access;
  }

  /**
   * Opens an operation. A shim that was given another work meanwhile, as a start, is looked for once more: its successor
   * has the same files.
   */
  async #begin(op: string, fields: FieldValues = {}): Promise<Begun> {
    for (let again = true; ; again = false) {
      const access = await this.#access.open();
      const end = () => {
        access.connection.close();
        access.release();
      };
      try {
        return { ...access, end, opened: await access.connection.request(op, fields) };
      } catch (error) {
        end();
        if (!again || !(isBerthError(error, 'invalid-state') || isBerthError(error, 'unavailable')))
          throw error;
      }
    }
  }

  async stat(path: string): Promise<FileStat> {
    const { opened, end } = await this.#begin('stat', { path });
    end();
    return parseStat(opened);
  }

  async read(path: string): Promise<Readable> {
    const { connection, release } = await this.#begin('read', { path });
    return outputOf(connection, release);
  }

  async #owner(): Promise<Identity | undefined> {
    const user = this.#access.user();
    if (user.user === '') return undefined;
    const ask = async (op: string, fields: FieldValues) => {
      const { opened, end } = await this.#begin(op, fields);
      end();
      return opened;
    };
    return askIdentity(ask, user);
  }

  async write(path: string, tar: Readable, options: WriteOptions): Promise<void> {
    const owner = options.copyUidGid ? await this.#owner() : undefined;
    // An archive under way cannot be sent again: the shim is asked before whether it serves files.
    const asked = await this.#begin('stat', { path: '/' });
    // Each operation has a connection of its own: a container's shim gives it to a process that ends with the operation.
    const { connection, release } = await this.#access.open().finally(() => asked.end());
    try {
      const answer = lastFrame(connection);
      connection.send(FRAME.open, openWrite(path, options, owner));
      await Promise.race([answer, sendAll(connection, tar)]);
      await within(answer, { limitMs: SLOW_ANSWER_LIMIT_MS }, 'the supervisor, sent all of the archive,');
    } finally {
      connection.close();
      release();
    }
  }

  async changes(): Promise<readonly FileChange[]> {
    const { connection, end } = await this.#begin('changes');
    try {
      const chunks: Buffer[] = [];
      for await (const chunk of outputOf(connection, () => {})) chunks.push(chunk as Buffer);
      return parseChanges(Buffer.concat(chunks));
    } finally {
      end();
    }
  }
}

function openWrite(path: string, options: WriteOptions, owner: Identity | undefined): Buffer {
  return encodeFields({
    op: 'write',
    path,
    keepdirs: options.noOverwriteDirNonDir,
    uid: owner?.uid,
    gid: owner?.gid,
  });
}

export function parseStat(fields: Fields): FileStat {
  return {
    name: field(fields, 'name') ?? '',
    sizeBytes: Number(field(fields, 'size') ?? 0),
    mode: Number(field(fields, 'mode') ?? 0),
    mtime: field(fields, 'mtime') ?? '',
    linkTarget: field(fields, 'link') ?? '',
  };
}

/** NUL-ended `KIND PATH` entries. */
export function parseChanges(data: Buffer): FileChange[] {
  return data
    .toString('latin1')
    .split('\0')
    .filter((entry) => entry !== '')
    .map((entry) => ({ kind: Number(entry[0]) as FileChange['kind'], path: entry.slice(2) }));
}

/**
 * Drops mount points, which starting makes, and what lies below them, then the folders that are only listed because of them.
 * Pure; parents come before their children, and `targets` are UTF-8.
 */
export function withoutMountPoints(changes: readonly FileChange[], targets: readonly string[]): FileChange[] {
  const made = targets.map((target) => Buffer.from(target).toString('latin1'));
  const isMade = ({ path }: FileChange) => made.some((target) => path === target || isBelow(path, target));
  const left = changes.filter((change) => !isMade(change));
  const hidden = changes.filter(isMade);
  const holds = (list: readonly FileChange[], folder: string) =>
    list.some(({ path }) => isBelow(path, folder));
  return left.filter(({ path }) => !holds(hidden, path) || holds(left, path));
}

const isBelow = (path: string, folder: string) => path.startsWith(folder === '/' ? folder : `${folder}/`);

/** Resolves at EXIT, rejects at FAIL or when the connection ends before. */
function lastFrame(connection: ShimConnection): Promise<void> {
  return new Promise((resolve, reject) => {
    void connection.closed.then(() =>
      reject(new BerthError('unavailable', 'the supervisor ended during write')),
    );
    connection.receive((frame: Frame) => {
      if (frame.type === FRAME.exit) resolve();
      if (frame.type === FRAME.fail) reject(failure(frame.payload));
      return true;
    });
  });
}

async function sendAll(connection: ShimConnection, tar: Readable): Promise<void> {
  for await (const chunk of tar as AsyncIterable<Buffer>)
    for (let at = 0; at < chunk.length; at += WRITE_PART)
      if (!connection.send(FRAME.stdin, chunk.subarray(at, at + WRITE_PART))) await connection.drained();
  connection.send(FRAME.stdin);
}

/** The STDOUT frames of an opened operation as a stream that fails if the operation does. */
function outputOf(connection: ShimConnection, release: () => void): Readable {
  let ended = false;
  const stream = new Readable({
    read: () => connection.resume(),
    destroy: (error, done) => {
      watch.end();
      connection.close();
      release();
      done(error);
    },
  });
  const watch = connection.watchStall((error) => stream.destroy(error));
  connection.receive((frame) => {
    watch.moved();
    if (frame.type === FRAME.stdout && frame.payload.length > 0) return stream.push(frame.payload);
    if (frame.type === FRAME.exit) {
      ended = true;
      stream.push(null);
    }
    if (frame.type === FRAME.fail) stream.destroy(failure(frame.payload));
    return true;
  });
  const over = connection.closed.then(() => connection.emptied());
  void over.then(() => {
    if (!ended) stream.destroy(new BerthError('unavailable', 'the supervisor ended during the transfer'));
  });
  return stream;
}
