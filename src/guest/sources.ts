// Binds that a shim makes in its folder before a runtime or virtiofsd sees them. Pure.

import type { MountSpec } from '../core/index.ts';

type Bind = Extract<MountSpec, { type: 'bind' }>;

/** The members of one `source` entry, as shim/image.h knows them; `path` is where the shim finds the bind's source. */
export function sourceFields(number: number, bind: Bind, path: string = bind.source): string[] {
  return [String(number), bind.image ?? '', path, bind.subpath ?? '', accessOf(bind)];
}

function accessOf({ readonly, reach }: Bind): string {
  if (!readonly) return 'rw';
  return reach === undefined ? 'ro' : `ro-${reach}`;
}
