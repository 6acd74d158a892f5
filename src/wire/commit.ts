// What the body of `POST /commit` may change of the image's configuration.

import { Fields, given } from './fields.ts';

export interface CommitConfig {
  readonly Cmd?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Env?: readonly string[];
  readonly Labels?: Readonly<Record<string, string>>;
  readonly User?: string;
  readonly WorkingDir?: string;
}

/** Fails with FieldError. Null, which clients send for nothing, is nothing. */
export function readCommitConfig(body: unknown): CommitConfig {
  const fields = new Fields(body ?? {});
  return {
    ...given('Cmd', fields.words('Cmd')),
    ...given('Entrypoint', fields.words('Entrypoint')),
    ...given('Env', fields.strings('Env')),
    ...given('Labels', fields.map('Labels')),
    ...given('User', fields.string('User')),
    ...given('WorkingDir', fields.string('WorkingDir')),
  };
}
