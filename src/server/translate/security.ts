// Capabilities and security options, as Docker's clients write them.

import { BerthError, type SecuritySpec } from '../../core/index.ts';
import { FieldError, given, type HostConfigRequest } from '../../wire/index.ts';

const CAPABILITIES = new Set(
  `AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER
FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE
NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE
SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM ALL`.split(/\s+/),
);

/** Adds to `warnings` what is passed over because this host has no such thing. */
export function toSecurity(host: HostConfigRequest, warnings: string[]): SecuritySpec {
  const options = readOptions(host.SecurityOpt, warnings);
  const unconfinedPaths = options.systemPaths ? { maskedPaths: [], readonlyPaths: [] } : {};
  return {
    privileged: host.Privileged,
    capAdd: host.CapAdd.map((name) => toCapability('CapAdd', name)),
    capDrop: host.CapDrop.map((name) => toCapability('CapDrop', name)),
    noNewPrivileges: options.noNewPrivileges,
    seccomp: options.seccomp,
    ...given('maskedPaths', host.MaskedPaths),
    ...given('readonlyPaths', host.ReadonlyPaths),
    ...unconfinedPaths,
  };
}

function toCapability(field: string, text: string): string {
  const name = text.toUpperCase().replace(/^CAP_/, '');
  if (!CAPABILITIES.has(name)) throw new FieldError(field, `unknown capability: "${text}"`);
  return name;
}

interface SecurityOptions {
  noNewPrivileges: boolean;
  seccomp: string;
  systemPaths: boolean;
}

function readOptions(texts: readonly string[], warnings: string[]): SecurityOptions {
  const options: SecurityOptions = { noNewPrivileges: false, seccomp: 'default', systemPaths: false };
  for (const text of texts) {
    // `name:value` is the form of old clients; a profile holds colons of its own.
    const [, name = '', value] = /^([a-z-]+)(?:[=:]([\s\S]*))?$/.exec(text) ?? [];
    if (name === 'no-new-privileges') options.noNewPrivileges = toBoolean(text, value ?? 'true');
    else if (name === 'seccomp' && value) options.seccomp = toSeccomp(value);
    else if (name === 'systempaths' && value === 'unconfined') options.systemPaths = true;
    else if (name === 'apparmor' && value) warnAppArmor(value, warnings);
    else if (name === 'label' && value) warnLabel(value, warnings);
    else throw new BerthError('invalid-argument', `invalid --security-opt: ${JSON.stringify(text)}`);
  }
  return options;
}

function toBoolean(text: string, value: string): boolean {
  if (value === 'true' || value === '1') return true;
  if (value === 'false' || value === '0') return false;
  throw new BerthError('invalid-argument', `invalid --security-opt: ${JSON.stringify(text)}`);
}

function toSeccomp(value: string): string {
  if (value === 'unconfined') return value;
  if (value === 'builtin' || value === 'default') return 'default';
  try {
    const profile: unknown = JSON.parse(value);
    if (typeof profile === 'object' && profile !== null && !Array.isArray(profile)) return value;
  } catch {
    // Said below.
  }
  throw new BerthError('invalid-argument', 'Decoding seccomp profile failed: it is not a JSON object');
}

function warnAppArmor(profile: string, warnings: string[]): void {
  if (profile !== 'unconfined')
    warnings.push(`AppArmor profile ${profile} is not applied: Berth confines by seccomp and capabilities.`);
}

function warnLabel(label: string, warnings: string[]): void {
  if (label !== 'disable') warnings.push(`SELinux label ${label} is not applied.`);
}

/** The options as `inspect` shows them. */
export function fromSecurity(security: SecuritySpec): readonly string[] | null {
  const options = [
    ...(security.noNewPrivileges ? ['no-new-privileges'] : []),
    ...(security.seccomp === 'default' ? [] : [`seccomp=${security.seccomp}`]),
  ];
  return options.length === 0 ? null : options;
}
