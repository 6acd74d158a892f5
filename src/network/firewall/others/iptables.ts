// iptables, and what is made of it: ufw, Docker's rules. Both kinds of it, for both families.

import { readFileSync } from 'node:fs';
import { isBerthError } from '../../../core/index.ts';
import { run } from '../../../host/index.ts';
import type { Finding } from './finding.ts';
import type { NftTable } from './nft-tables.ts';

/** The bridges of all daemons: berth0, berth-0a1b2c3d … */
const BRIDGES = 'berth+';
const TIMEOUT_MS = 10_000;

const KINDS = [
  { command: 'iptables-nft', family: 'ip', legacy: false },
  { command: 'ip6tables-nft', family: 'ip6', legacy: false },
  { command: 'iptables-legacy', family: 'ip', legacy: true },
  { command: 'ip6tables-legacy', family: 'ip6', legacy: true },
] as const;
type Kind = (typeof KINDS)[number];

/** Those whose filter table exists: asking the others would make it. */
export async function openIptables(tables: readonly NftTable[], mark: string): Promise<Iptables[]> {
  const present = KINDS.filter(({ family, legacy }) =>
    legacy
      ? hasLegacyTable(family)
      : tables.some((table) => table.family === family && table.name === 'filter'),
  );
  const opened = await Promise.all(present.map((kind) => Iptables.open(kind, mark)));
  return opened.filter((table) => table !== undefined);
}

function hasLegacyTable(family: 'ip' | 'ip6'): boolean {
  try {
    return readFileSync(`/proc/net/${family}_tables_names`, 'utf8').split('\n').includes('filter');
  } catch {
    return false;
  }
}

/** The filter table of one kind, as it was when opened. */
export class Iptables {
  readonly #kind: Kind;
  readonly #mark: string;
  /** As `iptables -S` says them: `-P FORWARD DROP`, `-A FORWARD -i eth0 -j ACCEPT`. */
  readonly #lines: readonly string[];

  private constructor(kind: Kind, mark: string, lines: readonly string[]) {
    this.#kind = kind;
    this.#mark = mark;
    this.#lines = lines;
  }

  /** Undefined when the program is not installed: then somebody else made the table. */
  static async open(kind: Kind, mark: string): Promise<Iptables | undefined> {
    try {
      const { stdout } = await run(kind.command, ['-w', '5', '-S'], { timeoutMs: TIMEOUT_MS });
      return new Iptables(kind, mark, stdout.trim().split('\n'));
    } catch (error) {
      if (isBerthError(error, 'not-found')) return undefined;
      throw error;
    }
  }

  has(chain: string): boolean {
    return this.#lines.some((line) => line === `-N ${chain}` || line.startsWith(`-P ${chain} `));
  }

  /** First removes what an earlier daemon may have added elsewhere. */
  async makeWay(): Promise<void> {
    const wanted = this.#wanted().map((rule) => rule.join(' '));
    const own = this.#own();
    if (wanted.every((rule) => own.includes(`-A ${rule}`)) && own.length === wanted.length) return;
    await this.leave();
    for (const rule of this.#wanted()) {
      const [chain = '', ...match] = rule;
      await this.#run('-I', chain, '1', ...match);
    }
  }

  async leave(): Promise<void> {
    for (const line of this.#own()) await this.#run('-D', ...line.split(' ').slice(1));
  }

  findings(): Finding[] {
    const name = this.#kind.command;
    const missing = this.#wanted().filter((rule) => !this.#own().includes(`-A ${rule.join(' ')}`));
    const user = this.has('ufw-before-forward') ? 'ufw' : this.has('DOCKER-USER') ? 'Docker' : 'its rules';
    if (this.#wanted().length === 0) return [{ name, ok: true, detail: 'drops nothing of networks' }];
    if (missing.length === 0)
      return [
        {
          name,
          ok: true,
          detail: `would drop what is forwarded (${user}); lets our bridges pass by rules marked ${this.#mark}`,
        },
      ];
    return [
      {
        name,
        ok: false,
        detail: `drops what is forwarded (${user}), and rules of ours are gone: ${missing.map((rule) => rule.join(' ')).join('; ')}`,
        remedy: 'restart the daemon, which adds them',
      },
    ];
  }

  #own(): string[] {
    return this.#lines.filter((line) => ` ${line} `.includes(` --comment ${this.#mark} `));
  }

  /** Chain, and the rest as `-S` says it. Only where something may be dropped. */
  #wanted(): (readonly [chain: string, ...match: readonly string[]])[] {
    const accept = ['-m', 'comment', '--comment', this.#mark, '-j', 'ACCEPT'];
    // Docker keeps this chain before its own and leaves it to others.
    const chain = this.has('DOCKER-USER') ? 'DOCKER-USER' : 'FORWARD';
    const dhcp = this.#kind.family === 'ip' ? '67' : '547';
    return [
      ...(this.#mayDrop('FORWARD')
        ? [[chain, '-i', BRIDGES, ...accept] as const, [chain, '-o', BRIDGES, ...accept] as const]
        : []),
      ...(this.#mayDrop('INPUT')
        ? [
            ['INPUT', '-i', BRIDGES, '-m', 'conntrack', '--ctorigdstport', '53', ...accept] as const,
            ['INPUT', '-i', BRIDGES, '-p', 'udp', '-m', 'udp', '--dport', dhcp, ...accept] as const,
            ...(this.#kind.family === 'ip6'
              ? [['INPUT', '-i', BRIDGES, '-p', 'ipv6-icmp', ...accept] as const]
              : []),
          ]
        : []),
    ];
  }

  /** By its policy, or in a rule of it or of a chain that it leads to. */
  #mayDrop(chain: string, seen: ReadonlySet<string> = new Set()): boolean {
    if (seen.has(chain)) return false;
    if (this.#lines.includes(`-P ${chain} DROP`)) return true;
    return this.#lines
      .filter((line) => line.startsWith(`-A ${chain} `))
      .map((line) => /(?:-j|-g) (\S+)/.exec(line)?.[1] ?? '')
      .some(
        (target) =>
          target === 'DROP' || target === 'REJECT' || this.#mayDrop(target, new Set(seen).add(chain)),
      );
  }

  async #run(...args: readonly string[]): Promise<void> {
    await run(this.#kind.command, ['-w', '5', ...args], { timeoutMs: TIMEOUT_MS });
  }
}
