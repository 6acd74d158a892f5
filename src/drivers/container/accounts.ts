// Users and groups of an image: what `--user` means inside it. Pure.

import { BerthError } from '../../core/index.ts';

export interface Identity {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  readonly home: string;
}

/** The texts of /etc/passwd and /etc/group in the image; '' for a missing one. */
export interface AccountFiles {
  readonly passwd: string;
  readonly group: string;
}

interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

const MAX_ID = 2 ** 32 - 2;

function parsePasswd(text: string): Account[] {
  return text.split('\n').flatMap((line) => {
    const [name, , uid, gid, , home] = line.split(':');
    if (name === undefined || name === '' || !isNumber(uid) || !isNumber(gid)) return [];
    return [{ name, uid: Number(uid), gid: Number(gid), home: home ?? '' }];
  });
}

function parseGroup(text: string): Group[] {
  return text.split('\n').flatMap((line) => {
    const [name, , gid, members] = line.split(':');
    if (name === undefined || name === '' || !isNumber(gid)) return [];
    return [{ name, gid: Number(gid), members: (members ?? '').split(',').map((member) => member.trim()) }];
  });
}

function isNumber(text: string | undefined): text is string {
  return text !== undefined && /^\d+$/.test(text);
}

function checkedId(text: string, what: string): number {
  const id = Number(text);
  if (id > MAX_ID) throw new BerthError('invalid-argument', `${what} ${text} is out of range`);
  return id;
}

/**
 * Resolves '' (root), 'name', 'uid', and either with ':group', by Docker's rules: a number that is in no file is taken
 * as it is; without a group the account's own and its additional groups apply. Fails with `invalid-argument` naming
 * the user or group that the image does not have.
 */
export function resolveUser(
  user: string,
  additionalGroups: readonly string[],
  files: AccountFiles,
): Identity {
  const accounts = parsePasswd(files.passwd);
  const groups = parseGroup(files.group);
  const [userPart = '', groupPart = ''] = user.split(':');
  const account = findAccount(userPart === '' ? '0' : userPart, accounts);
  const gid = groupPart === '' ? account.gid : findGroup(groupPart, groups);
  const implied =
    groupPart === '' && account.name !== ''
      ? groups.filter((group) => group.members.includes(account.name)).map((group) => group.gid)
      : [];
  // The primary group stands among the additional ones too, or a process could shed it with setgid alone.
  const additional = [gid, ...implied, ...additionalGroups.map((name) => findGroup(name, groups))];
  return {
    uid: account.uid,
    gid,
    additionalGids: [...new Set(additional)],
    home: account.home === '' ? '/' : account.home,
  };
}

function findAccount(user: string, accounts: readonly Account[]): Account {
  const byName = accounts.find((account) => account.name === user);
  if (byName !== undefined) return byName;
  if (!isNumber(user))
    throw new BerthError(
      'invalid-argument',
      `unable to find user ${user}: no matching entries in passwd file`,
    );
  const uid = checkedId(user, 'user id');
  return accounts.find((account) => account.uid === uid) ?? { name: '', uid, gid: 0, home: '' };
}

function findGroup(name: string, groups: readonly Group[]): number {
  const byName = groups.find((group) => group.name === name);
  if (byName !== undefined) return byName.gid;
  if (!isNumber(name))
    throw new BerthError(
      'invalid-argument',
      `unable to find group ${name}: no matching entries in group file`,
    );
  return checkedId(name, 'group id');
}
