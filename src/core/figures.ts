// What is measured: of one instance, and of what a driver keeps ready.

/** Shares of the last seconds, in percent, in which work stood still for want of something, and since the start. */
export interface Stall {
  readonly avg10: number;
  readonly avg60: number;
  readonly avg300: number;
  readonly totalUs: number;
}

/** The kernel's pressure stall information: `some` work stood still, or `full`: all of it did. */
export interface Pressure {
  readonly some: Stall;
  readonly full?: Stall;
}

export const PRESSURES = ['cpu', 'memory', 'io'] as const;
export type Pressures = { readonly [K in (typeof PRESSURES)[number]]?: Pressure };

/** Figures at one moment; absent ones are not measured by this kernel or driver. */
export interface InstanceStats {
  readonly readAt: string;
  readonly memory: {
    readonly usageBytes: number;
    readonly limitBytes?: number;
    readonly cacheBytes?: number;
    readonly swapBytes?: number;
    /** The most there ever was in use. */
    readonly peakBytes?: number;
    /** Processes killed for want of memory. */
    readonly oomKills?: number;
    readonly detail: Readonly<Record<string, number>>;
  };
  readonly cpu: {
    readonly totalNs: number;
    readonly userNs?: number;
    readonly systemNs?: number;
    readonly throttledNs?: number;
    readonly throttledPeriods?: number;
    readonly periods?: number;
  };
  readonly pids: { readonly current: number; readonly limit?: number };
  readonly block?: {
    readonly readBytes: number;
    readonly writeBytes: number;
    readonly readOperations?: number;
    readonly writeOperations?: number;
  };
  /** Of the workload itself: for a VM, as its guest's kernel sees it. */
  readonly pressure?: Pressures;
}

/** What a driver keeps ready so that starts are quick, and how that went since the daemon began. */
export interface DriverFigures {
  /** Instances that wait to be taken over by a start; taken over so far, and looked for in vain. */
  readonly waiting: number;
  readonly hits: number;
  readonly misses: number;
  /** What instances are copied from, and the memory that holds. */
  readonly templates: number;
  readonly templateBytes: number;
  /** Starts by copying, one that waited included, and all others. */
  readonly forked: number;
  readonly booted: number;
}
