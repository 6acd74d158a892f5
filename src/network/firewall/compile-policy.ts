// A policy as rules of nftables.

import { createHash } from 'node:crypto';
import { type Family, familyOf } from './address-classes.ts';
import type { Declaration, Element } from './declaration.ts';
import type { Direction, Policy, PolicyRule, Target } from './policy.ts';
import { formatRule } from './policy-text.ts';
import { PROTOCOL } from './protocols.ts';

const FAMILIES = [4, 6] as const;
/** How long an address stays allowed for who uses it. */
const IN_USE = '1h';
const MAX_ADDRESSES = 65_535;
/** Who logs shall not fill the host's log. */
const LOG_LIMIT = 'limit rate 20/second burst 100 packets';
/** Of the kernel, with the final zero. */
const MAX_PREFIX = 127;

export interface PolicyOwner {
  readonly kind: 'workload' | 'network';
  readonly id: string;
  readonly name: string;
}

/**
 * The chains of `policy`, with the sets of the names in it, which are filled as names are looked up. Who comes to a
 * chain's end is judged by whoever called it.
 */
export function compilePolicy(owner: PolicyOwner, policy: Policy): Pick<Declaration, 'sets' | 'chains'> {
  const names = policy.flatMap(({ target }) => (target.kind === 'name' ? [target.name] : []));
  const text = `{ type ipvF_addr; size ${MAX_ADDRESSES}; flags dynamic, timeout; }`;
  return {
    sets: new Map(
      names.flatMap((name) =>
        FAMILIES.map((family) => [nameSet(owner, name, family), text.replace('F', `${family}`)] as const),
      ),
    ),
    chains: new Map(
      (['to', 'from'] as const).map((direction) => [
        chainName(owner, direction),
        policy.filter((rule) => rule.direction === direction).flatMap((rule) => compileRule(owner, rule)),
      ]),
    ),
  };
}

/** The elements that lead from `range`, an address or a subnet, to the chains of its policy. */
export function declareJumps(owner: PolicyOwner, range: string): Element[] {
  const jump = (way: 'out' | 'in', direction: Direction): Element => ({
    family: 'inet',
    set: `${owner.kind}_${way}${familyOf(range)}`,
    key: range,
    value: `jump ${chainName(owner, direction)}`,
  });
  return [jump('out', 'to'), jump('in', 'from')];
}

function chainName({ kind, id }: PolicyOwner, direction: Direction): string {
  return `${kind}_${id.slice(0, 16)}_${direction}`;
}

/** Of the addresses that a name resolved to for an owner of a policy. */
export function nameSet({ kind, id }: PolicyOwner, name: string, family: Family): string {
  return `${kind}_${id.slice(0, 16)}_${hash(name)}_${family}`;
}

export function isNameSet(set: string): boolean {
  return /^(workload|network)_.+_[0-9a-f]{12}_[46]$/.test(set);
}

/** Of the addresses of the workloads that a rule speaks of. */
export function memberSet(target: Target, family: Family): string {
  return `members_${hash(JSON.stringify(target))}_${family}`;
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

function compileRule(owner: PolicyOwner, rule: PolicyRule): string[] {
  const ports = formatPorts(rule);
  const verdict = rule.verdict === 'allow' ? 'accept' : 'goto refuse';
  return matchesOf(owner, rule).flatMap(({ match, keep }) => [
    ...(rule.log
      ? [`${match} ${ports} ct state new ${LOG_LIMIT} log prefix "${formatPrefix(owner, rule)}"`]
      : []),
    ...(keep === undefined ? [] : [`ct state established ${match} ${ports} ${keep} accept`]),
    `${match} ${ports} ${verdict}`,
  ]);
}

interface Match {
  readonly match: string;
  /** What an established connection keeps from expiring. */
  readonly keep?: string;
}

function matchesOf(owner: PolicyOwner, { direction, target }: PolicyRule): Match[] {
  // The other end, in the packets of both directions.
  const end = (family: Family) =>
    `ct ${direction === 'to' ? 'reply' : 'original'} ${family === 4 ? 'ip' : 'ip6'} saddr`;
  const local = `fib ${direction === 'to' ? 'daddr' : 'saddr'} type`;
  const inEach = (of: (family: Family) => string): Match[] =>
    FAMILIES.map((family) => ({ match: of(family) }));
  switch (target.kind) {
    case 'any':
      return [{ match: '' }];
    case 'host':
      return [{ match: `${local} local` }];
    case 'network':
      return [{ match: 'iifname . oifname @same' }];
    case 'private':
    case 'metadata':
      return inEach((family) => `${end(family)} @${target.kind}${family}`);
    case 'public':
      return inEach(
        (family) =>
          `${local} != local ${end(family)} != @private${family} ${end(family)} != @metadata${family}`,
      );
    case 'range':
      return [{ match: `${end(familyOf(target.range))} ${target.range}` }];
    case 'workload':
    case 'label':
      return inEach((family) => `${end(family)} @${memberSet(target, family)}`);
    case 'name':
      return FAMILIES.map((family) => {
        const set = nameSet(owner, target.name, family);
        return {
          // A name of a stranger must not open the host's own public address.
          match: `${local} != local ${end(family)} @${set}`,
          keep: `update @${set} { ${end(family)} timeout ${IN_USE} }`,
        };
      });
  }
}

/** The port of whom the connection goes to, behind any translation. */
function formatPorts({ ports, protocol }: PolicyRule): string {
  const numbers = protocol === undefined ? [PROTOCOL.tcp, PROTOCOL.udp] : [PROTOCOL[protocol]];
  const match = `meta l4proto { ${numbers.join(', ')} }`;
  if (ports.length === 0) return protocol === undefined ? '' : match;
  const ranges = ports.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`));
  return `${match} ct reply proto-src { ${ranges.join(', ')} }`;
}

/** "berth: web: deny to any: " */
function formatPrefix({ name }: PolicyOwner, rule: PolicyRule): string {
  const text = `berth: ${name}: ${formatRule({ ...rule, log: false })}`.replace(/[^\w .,:;/@=*[\]-]/g, '_');
  return `${text.slice(0, MAX_PREFIX - 2)}: `;
}
