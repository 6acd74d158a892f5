// What stands in the tables of Berth whatever runs: sets and maps that workloads and networks are elements of, and the
// chains that look them up. Only policies add chains of their own.

import { METADATA, PRIVATE } from './address-classes.ts';
import { PROTOCOL } from './protocols.ts';

/** Table, chain, and the rules of it; the first may be a hook. */
type Chain = readonly [name: string, ...rules: readonly string[]];

const FAMILIES = [4, 6] as const;
const TCP_OR_UDP = `meta l4proto { ${PROTOCOL.tcp}, ${PROTOCOL.udp} }`;

const ROUTED_SETS: readonly string[] = [
  'set bridges { type ifname; }',
  'set internal { type ifname; }',
  // Each bridge, twice: what comes by it and leaves by it again.
  'set same { type ifname . ifname; }',
  ...FAMILIES.flatMap((family) => {
    const address = `ipv${family}_addr`;
    const target = `${address} . inet_service`;
    return [
      `set inside${family} { type ${address}; flags interval; }`,
      `set masquerade${family} { type ${address}; flags interval; }`,
      // Those of whose connections each packet is judged, so that a changed policy cuts what it forbids.
      `set watched${family} { type ${address}; }`,
      // Those that publish ports, twice: they may reach themselves by them.
      `set self${family} { type ${address} . ${address}; }`,
      `set resolvers${family} { type ifname . ${address} . inet_service; }`,
      `set denied_out${family} { type ${address}; counter; }`,
      `set denied_in${family} { type ${address}; counter; }`,
      `set private${family} { type ${address}; flags interval; elements = { ${PRIVATE[family].join(', ')} }; }`,
      `set metadata${family} { type ${address}; elements = { ${METADATA[family].join(', ')} }; }`,
      `map names${family} { type ifname . ${address} : inet_service; }`,
      `map published${family} { type ${address} . inet_proto . inet_service : ${target}; }`,
      `map published_any${family} { type inet_proto . inet_service : ${target}; }`,
      ...['out', 'in'].flatMap((way) => [
        `map workload_${way}${family} { type ${address} : verdict; }`,
        `map network_${way}${family} { type ${address} : verdict; flags interval; }`,
      ]),
    ];
  }),
];

/** One rule for each family, `F` standing for its number and `IP` for its word. */
const both = (rule: string): string[] =>
  FAMILIES.map((family) => rule.replaceAll('F', `${family}`).replaceAll('IP', family === 4 ? 'ip' : 'ip6'));

/**
 * Egress and ingress are two base chains of one hook: an accept of the first leads to the second, so that both must
 * permit. Addresses are those of the connection (`ct original`, `ct reply`), not of the packet, so that the packets of
 * both directions get one verdict.
 */
const ROUTED_CHAINS: readonly Chain[] = [
  [
    'refuse',
    // Looking an element up counts.
    ...both('ct original IP saddr @denied_outF'),
    ...both('ct reply IP saddr @denied_inF'),
    // Workloads and the host's own programs are told at once; others learn nothing.
    `iifname @bridges meta l4proto ${PROTOCOL.tcp} reject with tcp reset`,
    'iifname @bridges reject with icmpx admin-prohibited',
    `fib saddr type local meta l4proto ${PROTOCOL.tcp} reject with tcp reset`,
    'fib saddr type local reject with icmpx admin-prohibited',
    'drop',
  ],
  [
    'settled',
    // What is reported about a connection is as good as the connection was.
    `ct state related meta l4proto { ${PROTOCOL.icmp}, ${PROTOCOL.icmp6} } accept`,
    ...both('ct original IP saddr @watchedF return'),
    ...both('ct reply IP saddr @watchedF return'),
    'accept',
  ],
  [
    'policies_out',
    ...both('ct original IP saddr vmap @workload_outF'),
    ...both('ct original IP saddr vmap @network_outF'),
  ],
  [
    'policies_in',
    ...both('ct reply IP saddr vmap @workload_inF'),
    ...both('ct reply IP saddr vmap @network_inF'),
  ],
  [
    'leaving',
    'ct state invalid drop',
    'ct state established,related jump settled',
    'iifname . oifname @same goto policies_out',
    'iifname @internal goto refuse',
    'oifname @internal goto refuse',
    'goto policies_out',
  ],
  [
    'arriving',
    'ct state established,related jump settled',
    'jump policies_in',
    'iifname . oifname @same accept',
    // By a published port: nothing else translates destinations to ours.
    'ct status dnat accept',
    ...both('ct reply IP saddr @insideF goto refuse'),
    ...both('ct original IP saddr @insideF accept'),
    'goto refuse',
  ],
  [
    'to_host',
    // Nobody there tells the host where to send what.
    'icmp type redirect drop',
    'icmpv6 type { nd-redirect, nd-router-advert } drop',
    'icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, mld-listener-report, mld2-listener-report } accept',
    'ct state invalid drop',
    'ct state established,related ct direction reply accept',
    ...both(`iifname . IP daddr . th dport @resolversF ${TCP_OR_UDP} accept`),
    'meta nfproto ipv4 udp dport 67 accept',
    'meta nfproto ipv6 udp dport 547 accept',
    'icmp type echo-request accept',
    'icmpv6 type echo-request accept',
    'ct state established,related jump settled',
    'iifname @internal goto refuse',
    'goto policies_out',
  ],
  [
    'from_host',
    'fib daddr type local accept',
    'ct state established,related ct direction reply accept',
    'ct state established,related jump settled',
    'goto policies_in',
  ],
  [
    'published',
    ...both('dnat IP to IP daddr . meta l4proto . th dport map @publishedF'),
    ...both('meta nfproto ipvF dnat IP to meta l4proto . th dport map @published_anyF'),
  ],
  [
    'to_workload',
    // Its answer would go to its own loopback.
    'ip saddr 127.0.0.0/8 masquerade',
    ...both('ct status dnat IP saddr . IP daddr @selfF masquerade'),
  ],
];

const ROUTED_HOOKS: readonly Chain[] = [
  [
    'first',
    'type filter hook prerouting priority raw; policy accept;',
    // Bridges route loopback addresses for the answers to published ports; nothing else may use that.
    'iifname @bridges ip saddr 127.0.0.0/8 drop',
    'iifname @bridges ip daddr 127.0.0.0/8 drop',
  ],
  [
    'prerouting',
    'type nat hook prerouting priority dstnat; policy accept;',
    ...both(`${TCP_OR_UDP} th dport 53 redirect to :iifname . IP daddr map @namesF`),
    'ip daddr != 127.0.0.0/8 fib daddr type local jump published',
    'meta nfproto ipv6 fib daddr type local jump published',
  ],
  [
    'output',
    'type nat hook output priority -100; policy accept;',
    'meta nfproto ipv4 fib daddr type local jump published',
    // The kernel does not route ::1; who tries it first shall be refused and take 127.0.0.1.
    'ip6 daddr != ::1 fib daddr type local jump published',
  ],
  [
    'postrouting',
    'type nat hook postrouting priority srcnat; policy accept;',
    'oifname @bridges goto to_workload',
    ...both('oifname != "lo" IP saddr @masqueradeF masquerade'),
  ],
  [
    'egress',
    'type filter hook forward priority filter; policy accept;',
    'iifname @bridges goto leaving',
    'oifname @bridges goto leaving',
  ],
  [
    'ingress',
    'type filter hook forward priority filter + 1; policy accept;',
    'iifname @bridges goto arriving',
    'oifname @bridges goto arriving',
  ],
  ['input', 'type filter hook input priority filter; policy accept;', 'iifname @bridges goto to_host'],
  [
    'host',
    'type filter hook output priority filter; policy accept;',
    // A workload must not learn that another is on its link: it would no longer come by here.
    'oifname @bridges icmp type redirect drop',
    'oifname @bridges icmpv6 type nd-redirect drop',
    // What is translated here still has the interface that it would have had.
    ...both('ct reply IP saddr @insideF goto from_host'),
  ],
];

/** The bridges' own rules, without state: who may send by a port, and how much. */
const BRIDGED_SETS: readonly string[] = [
  'set ports { type ifname; }',
  'set macs { type ifname . ether_addr; }',
  'set senders4 { type ifname . ether_addr . ipv4_addr; counter; }',
  'set senders6 { type ifname . ether_addr . ipv6_addr; counter; }',
  // The same once more, in the type in which the target of an advertisement can be looked up.
  'set targets6 { typeof iifname . ether saddr . @nh,384,128; }',
  'set receivers { type ifname; counter; }',
  'set spoofed { type ifname; counter; }',
  'map rate_out { type ifname : limit; }',
  'map rate_in { type ifname : limit; }',
];

const BRIDGED_CHAINS: readonly Chain[] = [
  ['spoof', 'iifname @spoofed', 'drop'],
  [
    'advertisement',
    'iifname . ether saddr . @nh,384,128 @targets6 accept',
    // fe80::/10
    '@nh,384,10 0x3fa accept',
    'goto spoof',
  ],
  [
    'from_port',
    'limit name iifname map @rate_out drop',
    'iifname . ether saddr . ip saddr @senders4 accept',
    'iifname . ether saddr != @macs goto spoof',
    // Also from an own address one can claim another's.
    'icmpv6 type nd-neighbor-advert goto advertisement',
    'iifname . ether saddr . ip6 saddr @senders6 accept',
    'iifname . arp saddr ether . arp saddr ip @senders4 accept',
    // Asking whether an address is free, and for one.
    'arp saddr ip 0.0.0.0 accept',
    'ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept',
    'ip6 saddr { ::, fe80::/10 } icmpv6 type { nd-neighbor-solicit, nd-router-solicit, mld-listener-report, mld2-listener-report } accept',
    'ip6 saddr fe80::/10 udp sport 546 udp dport 547 accept',
    'goto spoof',
  ],
];

const BRIDGED_HOOKS: readonly Chain[] = [
  [
    'prerouting',
    'type filter hook prerouting priority -300; policy accept;',
    'iifname @ports goto from_port',
  ],
  // Ports are isolated; were one not, still nothing would pass by here.
  ['forward', 'type filter hook forward priority 0; policy accept;', 'iifname @ports drop'],
  [
    'postrouting',
    'type filter hook postrouting priority 300; policy accept;',
    'limit name oifname map @rate_in drop',
    'oifname @receivers',
  ],
];

/** The commands that make both tables anew, empty, in place of what is there. */
export function formatRuleset(table: string): string[] {
  return [
    ...formatTable(`inet ${table}`, ROUTED_SETS, ROUTED_CHAINS, ROUTED_HOOKS),
    ...formatTable(`bridge ${table}`, BRIDGED_SETS, BRIDGED_CHAINS, BRIDGED_HOOKS),
  ];
}

/** The commands that remove both tables, whether or not they are there. */
export function formatRemoval(table: string): string[] {
  return ['inet', 'bridge'].flatMap((family) => [
    `add table ${family} ${table}`,
    `delete table ${family} ${table}`,
  ]);
}

function formatTable(
  table: string,
  sets: readonly string[],
  chains: readonly Chain[],
  hooks: readonly Chain[],
): string[] {
  return [
    `add table ${table}`,
    `delete table ${table}`,
    `add table ${table}`,
    ...sets.map((set) => `add ${set.replace(/^(set|map) /, `$1 ${table} `)}`),
    ...[...chains].map(([name]) => `add chain ${table} ${name}`),
    ...hooks.map(([name, hook]) => `add chain ${table} ${name} { ${hook} }`),
    ...chains.flatMap(([name, ...rules]) => rules.map((rule) => `add rule ${table} ${name} ${rule}`)),
    ...hooks.flatMap(([name, , ...rules]) => rules.map((rule) => `add rule ${table} ${name} ${rule}`)),
  ];
}
