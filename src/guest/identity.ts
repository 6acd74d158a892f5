// The identity that a process would have: asked of a supervisor, which can read the user and group files of the root.

import { type Fields, type FieldValues, field } from './connection.ts';

export interface Identity {
  readonly uid: number;
  readonly gid: number;
  /** The primary group is among them. */
  readonly additionalGids: readonly number[];
  readonly home: string;
}

/** `user` by Docker's rules: 'name' or 'uid', with ':group' or without; '' is root. */
export interface User {
  readonly user: string;
  readonly additionalGroups: readonly string[];
}

/** Fails with `invalid-argument` naming the user or group that the workload does not have. */
export async function askIdentity(
  ask: (op: string, fields: FieldValues) => Promise<Fields>,
  { user, additionalGroups }: User,
  more: FieldValues = {},
): Promise<Identity> {
  const fields = await ask('identity', { user, group: additionalGroups, ...more });
  return {
    uid: Number(field(fields, 'uid')),
    gid: Number(field(fields, 'gid')),
    additionalGids: (fields.get('group') ?? []).map(Number),
    home: field(fields, 'home') ?? '/',
  };
}
