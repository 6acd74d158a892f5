// The policy language as data: ordered rules, of which the first that matches decides.

export type Verdict = 'allow' | 'deny';

/** `to`: connections that the workload opens; `from`: those that reach it. */
export type Direction = 'to' | 'from';

export type Target =
  | { readonly kind: 'any' | 'public' | 'private' | 'metadata' | 'host' | 'network' }
  /** An address or a CIDR. */
  | { readonly kind: 'range'; readonly range: string }
  /** Lower case, without a final dot; `*.` before it stands for one label or more. */
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'workload'; readonly name: string }
  /** Without a value: the label is there. */
  | { readonly kind: 'label'; readonly key: string; readonly value?: string };

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

export interface PolicyRule {
  readonly verdict: Verdict;
  readonly direction: Direction;
  readonly target: Target;
  /** Of whom the connection goes to, in either direction; none: all, and what has no ports. */
  readonly ports: readonly PortRange[];
  /** Absent: both, and without ports every protocol. */
  readonly protocol?: 'tcp' | 'udp';
  readonly log: boolean;
}

export type Policy = readonly PolicyRule[];
