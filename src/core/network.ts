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
  /** For resolv.conf, where the workload names none of its own. */
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
