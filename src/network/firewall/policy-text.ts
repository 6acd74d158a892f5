// The policy language as text: `allow to pypi.org:443; deny to any log`. The same in the command line, the API and labels.

import { isIPv4, isIPv6 } from 'node:net';
import { BerthError } from '../../core/index.ts';
import { normalizeRange } from './address-range.ts';
import type { Policy, PolicyRule, PortRange, Target } from './policy.ts';

const MAX_RULES = 256;
const CLASSES = ['any', 'public', 'private', 'metadata', 'host', 'network'] as const;
const EXAMPLES = '"allow to pypi.org:443", "allow from @web:5432/tcp", "deny to private", "deny to any log"';
/** RFC 1123, with underscores as they occur; at least two labels. */
const NAME = /^(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const WORKLOAD = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/**
 * Rules are separated by semicolons or line ends; `#` begins a comment. Fails with `invalid-argument`, showing the rule,
 * what of it is wrong and how it is said right.
 */
export function parsePolicy(text: string): Policy {
  const rules = text
    .split('\n')
    .flatMap((line) => line.replace(/(^|\s)#.*$/, '').split(';'))
    .map((rule) => rule.trim())
    .filter((rule) => rule !== '');
  if (rules.length > MAX_RULES)
    throw new BerthError(
      'invalid-argument',
      `a policy has at most ${MAX_RULES} rules, this one ${rules.length}`,
    );
  return rules.map((rule, index) => parseRule(rule, index + 1));
}

export function formatPolicy(policy: Policy): string {
  return policy.map(formatRule).join('; ');
}

export function formatRule({ verdict, direction, target, ports, protocol, log }: PolicyRule): string {
  const numbers = ports
    .map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`))
    .join(',');
  const who = formatTarget(target, numbers !== '');
  const what = `${who}${numbers === '' ? '' : `:${numbers}`}${protocol === undefined ? '' : `/${protocol}`}`;
  return `${verdict} ${direction} ${what}${log ? ' log' : ''}`;
}

function formatTarget(target: Target, beforePorts: boolean): string {
  switch (target.kind) {
    case 'range':
      return target.range.includes(':') && beforePorts ? `[${target.range}]` : target.range;
    case 'name':
      return target.name;
    case 'workload':
      return `@${target.name}`;
    case 'label':
      return `label:${target.key}${target.value === undefined ? '' : `=${target.value}`}`;
    default:
      return target.kind;
  }
}

/** What is wrong with a word of a rule. */
class Complaint extends Error {}

function parseRule(text: string, number: number): PolicyRule {
  const words = text.split(/\s+/);
  const [verdict, direction, target, log, ...rest] = words;
  const fail = (word: string | undefined, message: string): never => {
    const place = word === undefined ? 'at its end' : `at "${word}"`;
    throw new BerthError(
      'invalid-argument',
      `policy rule ${number}, "${text}", ${place}: ${message}; for example ${EXAMPLES}`,
    );
  };
  if (verdict !== 'allow' && verdict !== 'deny') return fail(verdict, 'a rule begins with allow or deny');
  if (direction !== 'to' && direction !== 'from')
    return fail(
      direction,
      `${verdict} is followed by to (what the workload opens) or from (what reaches it)`,
    );
  if (target === undefined) return fail(undefined, `say ${direction} whom`);
  if (log !== undefined && log !== 'log')
    return fail(log, 'only log may follow, without spaces before ports');
  if (rest[0] !== undefined) return fail(rest[0], 'nothing may follow log; a semicolon ends a rule');
  try {
    const parsed = parseTarget(target);
    checkName(parsed.target, verdict, direction);
    return { verdict, direction, ...parsed, log: log !== undefined };
  } catch (error) {
    if (error instanceof Complaint) return fail(target, error.message);
    throw error;
  }
}

function checkName(target: Target, verdict: string, direction: string): void {
  if (target.kind !== 'name') return;
  if (direction === 'from') throw new Complaint('names are looked up by workloads: they stand after to only');
  if (verdict === 'deny')
    throw new Complaint(
      'names can only be allowed, as an address may have many: allow what is needed, then deny to any',
    );
}

function parseTarget(text: string): Pick<PolicyRule, 'target' | 'ports' | 'protocol'> {
  const [, beforeProtocol = '', protocol] = /^(.*?)(?:\/(tcp|udp))?$/i.exec(text) ?? [];
  // Without brackets the colons of an IPv6 address are its own.
  const bare = isIPv6(beforeProtocol.split('/')[0] ?? '');
  const [, who = '', ports] = bare
    ? [undefined, beforeProtocol]
    : (/^((?:label:)?.*?)(?::([\d,-]*))?$/.exec(beforeProtocol) ?? []);
  const name = protocol?.toLowerCase();
  return {
    target: parseWho(who),
    ports: ports === undefined ? [] : ports.split(',').map(parsePorts),
    ...(name === 'tcp' || name === 'udp' ? { protocol: name } : {}),
  };
}

function parsePorts(text: string): PortRange {
  const [, first = '', last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  const range = { first: Number(first), last: Number(last) };
  if (first === '' || range.first < 1 || range.last > 65535 || range.first > range.last)
    throw new Complaint(`"${text}" is no port (1 to 65535) or range of ports such as 8000-8100`);
  return range;
}

function parseWho(text: string): Target {
  const word = CLASSES.find((kind) => kind === text.toLowerCase());
  if (word !== undefined) return { kind: word };
  if (text.startsWith('@')) return parseWorkload(text.slice(1));
  if (text.startsWith('label:')) return parseLabel(text.slice('label:'.length));
  const address = text.replace(/^\[(.*)\]$/, '$1').replace(/^\[(.*)\]\//, '$1/');
  if (isIPv4(address.split('/')[0] ?? '') || address.includes(':')) return parseRange(address);
  const name = text.toLowerCase().replace(/\.$/, '');
  if (/^[\d.]+(\/.*)?$/.test(name)) return parseRange(address);
  if (NAME.test(name) && name.length <= 253) return { kind: 'name', name };
  if (WORKLOAD.test(text))
    throw new Complaint(
      `"${text}" is neither a word (${CLASSES.join(', ')}) nor a DNS name: is the workload @${text} meant?`,
    );
  throw new Complaint(
    `"${text}" is none of: ${CLASSES.join(', ')}, an address or range, a DNS name, @WORKLOAD, label:KEY=VALUE`,
  );
}

function parseWorkload(name: string): Target {
  if (!WORKLOAD.test(name)) throw new Complaint(`"${name}" is no name of a workload`);
  return { kind: 'workload', name };
}

function parseLabel(text: string): Target {
  const [key = '', ...value] = text.split('=');
  if (key === '') throw new Complaint('label: is followed by KEY=VALUE or KEY');
  return { kind: 'label', key, ...(value.length === 0 ? {} : { value: value.join('=') }) };
}

function parseRange(text: string): Target {
  const range = normalizeRange(text);
  if (range === undefined)
    throw new Complaint(
      `"${text}" is no address or range such as 10.0.0.0/8 or, before a port, [2001:db8::/32]`,
    );
  return { kind: 'range', range };
}
