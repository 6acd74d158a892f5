// What an instance is plugged into: resolved by the engine for each run, made by drivers.

/**
 * An interface of an instance and the port of a bridge that it ends in. Ports of a bridge do not reach each other: all
 * that an instance sends goes through its gateways, so that the host's rules see it.
 */
export interface EndpointSpec {
  /** Inside the instance: eth0, eth1 … */
  readonly name: string;
  /** The host's end: at most 15 characters, unique on the host. */
  readonly port: string;
  /** Exists. */
  readonly bridge: string;
  /** Six bytes, lower case, with colons. */
  readonly mac: string;
  readonly mtu: number;
  /** At most one address per family, with the prefix length of its network: 10.208.0.2/20, fd00::2/64. */
  readonly addresses: readonly string[];
  /** The bridge's own addresses, one for each family of `addresses`; the network is reached through them. */
  readonly gateways: readonly string[];
  /** Whether everything else is reached through them, too. */
  readonly defaultRoute: boolean;
}

/** The network of one run. */
export interface RunNetwork {
  readonly endpoints: readonly EndpointSpec[];
  /** For resolv.conf. They ask the workload's own servers, if it names any, about what they do not know. */
  readonly nameservers: readonly string[];
  readonly searches: readonly string[];
  /** Lines of /etc/hosts beside those of localhost and of the workload's own extra hosts: "10.208.0.2 web". */
  readonly hosts: readonly string[];
  /** A process whose network is shared instead of having one. Containers only. */
  readonly joinPid?: number;
}

export interface StartOptions {
  /** Of the terminal, if there is one. */
  readonly size?: { readonly rows: number; readonly columns: number };
  /** For a spec whose network is `private`; absent: loopback only. */
  readonly network?: RunNetwork;
}

/** A network as the user knows it. */
export interface Network {
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  readonly createdAt: string;
  readonly driver: 'bridge' | 'host' | 'null';
  /** One per family at most; none where the driver is no bridge. */
  readonly subnets: readonly NetworkSubnet[];
  /** No way in or out but to its own members. */
  readonly internal: boolean;
  readonly labels: Readonly<Record<string, string>>;
  /** Docker's driver options, as given. */
  readonly options: Readonly<Record<string, string>>;
  /** The bridge's interface on the host, or ''. */
  readonly bridge: string;
  /** Set while the network uses a bridge that is not Berth's. */
  readonly borrowed?: BorrowedBridge;
  /** Absent: that of the host's way out. */
  readonly mtu?: number;
  /** For all its members, after their own: text of the policy language. */
  readonly policy?: string;
}

/** Changes that Berth made to a bridge of somebody else, to be undone when it needs the bridge no longer. */
export interface BorrowedBridge {
  /** Addresses that Berth added, with their prefix lengths. */
  readonly addresses: readonly string[];
  /** Values of kernel settings from before, by their paths. */
  readonly settings: Readonly<Record<string, string>>;
}

/** Most that a workload receives and sends. */
export interface NetworkRate {
  readonly inBytesPerSecond?: number;
  readonly outBytesPerSecond?: number;
}

/** What an interface carried since it was plugged in, as the workload sees it. */
export interface NetworkFigures {
  readonly receivedBytes: number;
  readonly receivedPackets: number;
  readonly sentBytes: number;
  readonly sentPackets: number;
}

export interface NetworkSubnet {
  /** 10.208.0.0/20, fd00::/64 */
  readonly subnet: string;
  readonly gateway: string;
  /** Addresses are given out of this part only. */
  readonly range?: string;
}

/** What a workload wants of a network. */
export interface NetworkAttachment {
  /** Name or id. */
  readonly network: string;
  /** Names on this network beside the workload's own. */
  readonly aliases: readonly string[];
  readonly ipv4?: string;
  readonly ipv6?: string;
  readonly mac?: string;
}

/** A port that is to be reached from outside. */
export interface PortRequest {
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
  /** Of the host; '': where the daemon's settings say. */
  readonly hostAddress: string;
  /** One of these, inclusive; absent: any that is free. */
  readonly hostPorts?: { readonly first: number; readonly last: number };
}

export interface PublishedPort {
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
  readonly hostAddress: string;
  readonly hostPort: number;
}

/** A workload's place in a network: its own as long as both exist, whether it runs or not. */
export interface Endpoint {
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly networkId: string;
  readonly networkName: string;
  /** Inside: eth0, eth1 … */
  readonly interface: string;
  readonly mac: string;
  readonly ipv4?: string;
  readonly ipv6?: string;
  readonly aliases: readonly string[];
  /** Was it asked for, so that a copy may not have it? */
  readonly fixed: boolean;
}
