// Who owns files that are copied in for the workload's user.

import { field } from '../../guest/index.ts';
import type { VmSupervisor } from './supervisor.ts';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * The numbers of 'name', 'uid', 'name:group' or 'uid:gid', by the guest's own user files; root for what is unknown;
 * nothing when no user is named.
 */
export async function ownerOf(user: string, supervisor: VmSupervisor): Promise<Owner | undefined> {
  if (user === '') return undefined;
  const { connection, release } = await supervisor.reachFiles();
  try {
    const fields = await connection.request('accounts');
    return resolveOwner(user, field(fields, 'passwd') ?? '', field(fields, 'group') ?? '');
  } finally {
    connection.close();
    release();
  }
}

/** Pure. */
export function resolveOwner(user: string, passwd: string, group: string): Owner {
  const [name = '', groupName] = user.split(':');
  const rows = (text: string) => text.split('\n').map((line) => line.split(':'));
  const account = rows(passwd).find((row) => row[0] === name || row[2] === name);
  const uid = Number(account?.[2] ?? name);
  const found = groupName === undefined ? undefined : rows(group).find((row) => row[0] === groupName);
  const gid = Number(groupName === undefined ? (account?.[3] ?? 0) : (found?.[2] ?? groupName));
  return { uid: Number.isInteger(uid) ? uid : 0, gid: Number.isInteger(gid) ? gid : 0 };
}
