// -v, --mount and --tmpfs.

import { resolve } from 'node:path';
import type { MountRequest } from '../../sdk/types.ts';
import { CliError } from '../errors.ts';
import { parseSize } from '../format/units.ts';

export interface VolumeFlags {
  readonly binds: string[];
  /** Targets of anonymous volumes. */
  readonly anonymous: string[];
}

/** `-v` items: SOURCE:TARGET[:OPTIONS] goes to the daemon as it is, a relative source made absolute. */
export function parseVolumes(items: readonly string[]): VolumeFlags {
  const flags: VolumeFlags = { binds: [], anonymous: [] };
  for (const item of items) {
    const [source = '', target, ...rest] = item.split(':');
    if (target === undefined) {
      requireAbsolute(source, item);
      flags.anonymous.push(source);
      continue;
    }
    requireAbsolute(target, item);
    if (source === '' || rest.length > 1) throw badVolume(item, 'expected SOURCE:TARGET[:OPTIONS]');
    const isPath = source.startsWith('.') || source.includes('/');
    flags.binds.push([isPath ? resolve(source) : source, target, ...rest].join(':'));
  }
  return flags;
}

function requireAbsolute(path: string, item: string): void {
  if (!path.startsWith('/'))
    throw badVolume(item, `the target ${JSON.stringify(path)} is not an absolute path`);
}

function badVolume(item: string, why: string): CliError {
  return new CliError(`invalid volume ${JSON.stringify(item)}: ${why}`, 125);
}

const MOUNT_KEYS: Readonly<Record<string, string>> = {
  type: 'type',
  src: 'source',
  source: 'source',
  dst: 'target',
  destination: 'target',
  target: 'target',
  ro: 'readonly',
  readonly: 'readonly',
  'bind-propagation': 'bind-propagation',
  'volume-nocopy': 'volume-nocopy',
  'volume-subpath': 'volume-subpath',
  'tmpfs-size': 'tmpfs-size',
  'tmpfs-mode': 'tmpfs-mode',
  consistency: 'consistency',
};

/** One `--mount type=…,source=…,target=…`. */
export function parseMount(text: string): MountRequest {
  const fields = new Map<string, string>();
  for (const part of splitCommas(text)) {
    const cut = part.indexOf('=');
    const name = (cut < 0 ? part : part.slice(0, cut)).trim().toLowerCase();
    const key = MOUNT_KEYS[name];
    if (key === undefined) throw badMount(text, `unexpected key ${JSON.stringify(name)}`);
    if (cut < 0 && key !== 'readonly' && key !== 'volume-nocopy')
      throw badMount(text, `${name} needs a value`);
    fields.set(key, cut < 0 ? 'true' : part.slice(cut + 1));
  }
  const type = fields.get('type') ?? 'volume';
  if (type !== 'bind' && type !== 'volume' && type !== 'tmpfs') {
    throw badMount(text, `unknown type ${JSON.stringify(type)}: bind, volume or tmpfs`);
  }
  const target = fields.get('target');
  if (target === undefined) throw badMount(text, 'target is missing');
  const source = fields.get('source');
  if (type === 'bind' && source === undefined) throw badMount(text, 'source is missing');
  if (type === 'tmpfs' && source !== undefined) throw badMount(text, 'a tmpfs has no source');
  return {
    Type: type,
    ...(source === undefined ? {} : { Source: type === 'bind' ? resolve(source) : source }),
    Target: target,
    ...(isTrue(fields.get('readonly'), text) ? { ReadOnly: true } : {}),
    ...typeOptions(type, fields, text),
  };
}

function typeOptions(type: string, fields: ReadonlyMap<string, string>, text: string): Partial<MountRequest> {
  const only = (key: string, owner: string) => {
    if (fields.has(key) && type !== owner)
      throw badMount(text, `${key} belongs to type ${owner}, not ${type}`);
    return fields.get(key);
  };
  const propagation = only('bind-propagation', 'bind');
  const noCopy = isTrue(only('volume-nocopy', 'volume'), text);
  const subpath = only('volume-subpath', 'volume');
  const size = only('tmpfs-size', 'tmpfs');
  const mode = only('tmpfs-mode', 'tmpfs');
  if (mode !== undefined && !/^[0-7]{1,4}$/.test(mode))
    throw badMount(text, `tmpfs-mode ${mode} is not octal`);
  const volume = {
    ...(noCopy ? { NoCopy: true } : {}),
    ...(subpath === undefined ? {} : { Subpath: subpath }),
  };
  const tmpfs = {
    ...(size === undefined ? {} : { SizeBytes: parseSize(size, 'tmpfs-size') }),
    ...(mode === undefined ? {} : { Mode: Number.parseInt(mode, 8) }),
  };
  return {
    ...(propagation === undefined ? {} : { BindOptions: { Propagation: propagation } }),
    ...(Object.keys(volume).length === 0 ? {} : { VolumeOptions: volume }),
    ...(Object.keys(tmpfs).length === 0 ? {} : { TmpfsOptions: tmpfs }),
  };
}

function isTrue(value: string | undefined, text: string): boolean {
  if (value === undefined || value === 'false' || value === '0') return false;
  if (value === 'true' || value === '1' || value === '') return true;
  throw badMount(text, `${JSON.stringify(value)} is neither true nor false`);
}

function badMount(text: string, why: string): CliError {
  return new CliError(`invalid mount ${JSON.stringify(text)}: ${why}`, 125);
}

/** Fields between commas; a field in double quotes may hold commas, as in CSV. */
export function splitCommas(text: string): string[] {
  const fields: string[] = [];
  for (const [, quoted, plain] of text.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)) {
    fields.push(quoted === undefined ? (plain ?? '') : quoted.replaceAll('""', '"'));
  }
  return fields;
}

/** `--tmpfs PATH[:OPTIONS]` items. */
export function parseTmpfs(items: readonly string[]): Record<string, string> {
  const mounts: Record<string, string> = {};
  for (const item of items) {
    const cut = item.indexOf(':');
    const path = cut < 0 ? item : item.slice(0, cut);
    if (!path.startsWith('/')) {
      throw new CliError(
        `invalid tmpfs ${JSON.stringify(item)}: ${JSON.stringify(path)} is not an absolute path`,
        125,
      );
    }
    mounts[path] = cut < 0 ? '' : item.slice(cut + 1);
  }
  return mounts;
}
