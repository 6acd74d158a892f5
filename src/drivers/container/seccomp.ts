// A workload's system call filter as the OCI runtime takes it: the default, a user's own profile, or none. Pure.

import { BerthError, errorMessage } from '../../core/index.ts';
import {
  ALLOWED,
  ALLOWED_WITH,
  ARCHITECTURES,
  BY_ARCHITECTURE,
  BY_CAPABILITY,
  CLONE_PLAIN,
} from './seccomp-profile.ts';

const EPERM = 1;
const ENOSYS = 38;

export interface OciSeccompRule {
  readonly names: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: readonly unknown[];
}

export interface OciSeccomp {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[];
  readonly flags?: readonly string[];
  readonly syscalls: readonly OciSeccompRule[];
}

/** The filter for these capabilities (with the CAP_ prefix) on this architecture (Node's name of it). */
export function defaultSeccomp(capabilities: readonly string[], arch: string): OciSeccomp {
  const admin = capabilities.includes('CAP_SYS_ADMIN');
  const allow = (names: readonly string[]): OciSeccompRule => ({ names, action: 'SCMP_ACT_ALLOW' });
  const granted = new Set(capabilities.flatMap((capability) => BY_CAPABILITY[capability] ?? []));
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: EPERM,
    architectures: ARCHITECTURES[arch] ?? [],
    syscalls: [
      allow([...ALLOWED, ...(BY_ARCHITECTURE[arch] ?? []), ...granted]),
      ...ALLOWED_WITH.map((rule) => ({ ...rule, action: 'SCMP_ACT_ALLOW' })),
      ...(admin
        ? []
        : [
            { ...CLONE_PLAIN, action: 'SCMP_ACT_ALLOW' },
            // Its flags lie in memory, where no filter can look: programs must fall back to clone.
            { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
          ]),
    ],
  };
}

interface Condition {
  readonly caps?: readonly string[];
  readonly arches?: readonly string[];
  readonly minKernel?: string;
}

interface ProfileRule {
  readonly name?: string;
  readonly names?: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: readonly unknown[] | null;
  readonly includes?: Condition;
  readonly excludes?: Condition;
}

interface Profile {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[] | null;
  readonly archMap?: readonly {
    readonly architecture: string;
    readonly subArchitectures?: readonly string[] | null;
  }[];
  readonly flags?: readonly string[];
  readonly syscalls?: readonly ProfileRule[] | null;
}

/** Docker's names of architectures in conditions, by Node's. */
const CONDITION_ARCH: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

export interface ProfileContext {
  readonly capabilities: readonly string[];
  readonly arch: string;
  /** Kernel release, e.g. 6.1.0-13. */
  readonly kernel: string;
}

/** A profile in Docker's format, its conditions decided for this host and workload. */
export function customSeccomp(text: string, context: ProfileContext): OciSeccomp {
  const profile = parseProfile(text);
  const native = ARCHITECTURES[context.arch]?.[0];
  const mapped = profile.archMap?.find((entry) => entry.architecture === native);
  const architectures =
    mapped === undefined ? profile.architectures : [mapped.architecture, ...(mapped.subArchitectures ?? [])];
  return {
    defaultAction: profile.defaultAction,
    ...(profile.defaultErrnoRet === undefined ? {} : { defaultErrnoRet: profile.defaultErrnoRet }),
    ...(architectures ? { architectures } : {}),
    ...(profile.flags === undefined ? {} : { flags: profile.flags }),
    syscalls: (profile.syscalls ?? []).filter((rule) => applies(rule, context)).map(toOci),
  };
}

function parseProfile(text: string): Profile {
  let profile: Profile;
  try {
    profile = JSON.parse(text) as Profile;
  } catch (error) {
    throw new BerthError('invalid-argument', `the seccomp profile is not JSON: ${errorMessage(error)}`);
  }
  const rulesOk =
    Array.isArray(profile?.syscalls ?? []) &&
    (profile?.syscalls ?? []).every((rule) => typeof rule?.action === 'string' && namesOf(rule).length > 0);
  if (typeof profile?.defaultAction !== 'string' || !rulesOk)
    throw new BerthError(
      'invalid-argument',
      'the seccomp profile lacks a defaultAction, or a rule its names or action',
    );
  return profile;
}

function namesOf(rule: ProfileRule): readonly string[] {
  return rule.names ?? (rule.name === undefined ? [] : [rule.name]);
}

function toOci(rule: ProfileRule): OciSeccompRule {
  return {
    names: namesOf(rule),
    action: rule.action,
    ...(rule.errnoRet === undefined ? {} : { errnoRet: rule.errnoRet }),
    ...(rule.args?.length ? { args: rule.args } : {}),
  };
}

function applies(rule: ProfileRule, context: ProfileContext): boolean {
  const { includes = {}, excludes = {} } = rule;
  const arch = CONDITION_ARCH[context.arch] ?? context.arch;
  if (includes.arches?.length && !includes.arches.includes(arch)) return false;
  if (excludes.arches?.includes(arch)) return false;
  if (includes.caps?.some((name) => !context.capabilities.includes(name))) return false;
  if (excludes.caps?.some((name) => context.capabilities.includes(name))) return false;
  if (includes.minKernel !== undefined && !kernelAtLeast(context.kernel, includes.minKernel)) return false;
  return excludes.minKernel === undefined || !kernelAtLeast(context.kernel, excludes.minKernel);
}

function kernelAtLeast(release: string, minimum: string): boolean {
  const [major = 0, minor = 0] = release.split(/[.-]/).map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = minimum.split('.').map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}
