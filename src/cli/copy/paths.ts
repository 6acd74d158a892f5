// Which path an argument of `cp` names, and where what is copied ends up: the rules of Docker's cp.

import { posix } from 'node:path';
import { CliError } from '../errors.ts';
import { toBytes, toText } from './names.ts';

export type Place =
  | { readonly kind: 'stdio' }
  | { readonly kind: 'host'; readonly path: string }
  | { readonly kind: 'workload'; readonly name: string; readonly path: string };

/** `NAME:PATH` is in a workload; a path with a slash before the colon, and `-`, are not. */
export function parsePlace(text: string): Place {
  if (text === '-') return { kind: 'stdio' };
  const cut = text.indexOf(':');
  if (cut <= 0 || text.startsWith('/') || text.startsWith('.')) return { kind: 'host', path: text };
  return { kind: 'workload', name: text.slice(0, cut), path: text.slice(cut + 1) || '/' };
}

export interface Source {
  readonly path: string;
  readonly isFolder: boolean;
}

export interface Destination {
  readonly path: string;
  readonly exists: boolean;
  readonly isFolder: boolean;
}

export interface Landing {
  /** The folder to unpack into; exists. */
  readonly folder: string;
  /** The name the copy gets there; '.' when the contents go into the folder itself. */
  readonly name: string;
}

/** The path without parts that are `..`, which are no name for a copy; `.` and a slash at its end stay. */
export function withoutDots(path: string, base: string): string {
  if (!/(^|\/)\.\.(\/|$)/.test(path)) return path;
  const end = /(\/\.?)?$/.exec(path)?.[0] ?? '';
  return `${posix.resolve(toBytes(base), path).replace(/\/$/, '')}${end}` || '/';
}

/** The place of the copy; all paths are bytes. Throws CliError when source and destination do not go together. */
export function landing(source: Source, destination: Destination): Landing {
  const contentsOnly = /(^|\/)\.$/.test(source.path);
  const { path, exists, isFolder } = destination;
  if (exists && isFolder) {
    return { folder: path, name: source.isFolder && contentsOnly ? '.' : baseName(source.path) };
  }
  if (exists && source.isFolder) throw new CliError(`cannot copy a folder over the file ${toText(path)}`, 1);
  if (path.endsWith('/') && (exists || !source.isFolder)) {
    throw new CliError(`cannot copy to ${toText(path)}: there is no such folder`, 1);
  }
  return { folder: parentOf(path), name: baseName(path) };
}

/** The last part of a path, trailing slashes and dots aside. */
export function baseName(path: string): string {
  return (
    path
      .replace(/(\/\.?)+$/, '')
      .split('/')
      .at(-1) || '/'
  );
}

function parentOf(path: string): string {
  const trimmed = path.replace(/\/+$/, '');
  const cut = trimmed.lastIndexOf('/');
  return cut < 0 ? '.' : trimmed.slice(0, cut) || '/';
}
