// The comparison's public shapes: POST /berth/v1/compare takes a CompareRequest and answers with JSON lines, any number
// of {"progress": CompareProgress} and then one {"report": CompareReport}. Every figure is a Cell: measured with its
// samples, a fact found by looking, or unknown with the reason. Nothing is estimated without being called so.

export const COMPARE_ISOLATIONS = ['container', 'vm'] as const;
export type CompareIsolation = (typeof COMPARE_ISOLATIONS)[number];
export type CompareColumn = CompareIsolation | 'host';

export interface CompareRequest {
  /** Default: busybox, made from the machine's own if it is not there. */
  readonly image?: string;
  /** Default: the image's own command; where that is a bare shell, one that prints a line and ends. */
  readonly command?: readonly string[];
  /** Runs per isolation, 1 to 100. Default: 10 containers, 5 VMs. */
  readonly runs?: number;
  /** Default: all that this host can run. */
  readonly isolations?: readonly CompareIsolation[];
  /** Whether the report is wanted as a page as well. */
  readonly html?: boolean;
}

export interface CompareProgress {
  readonly done: number;
  readonly total: number;
  /** The part of the work that the step belongs to. */
  readonly phase: string;
  /** What is being done now. */
  readonly label: string;
  readonly elapsedMs: number;
  /** From the time that steps of the same kind took so far; a forecast, not a promise. */
  readonly remainingMs: number;
}

export type CompareUnit = 'ms' | 'bytes' | 'percent' | 'count' | 'ratio';

export interface MeasuredCell {
  readonly kind: 'measured';
  readonly unit: CompareUnit;
  readonly samples: number;
  readonly p50: number;
  readonly p95: number;
  readonly min: number;
  readonly max: number;
  /** In the order they were taken. */
  readonly values: readonly number[];
  readonly note?: string;
}

export interface FactCell {
  readonly kind: 'fact';
  /** Short enough for a table. */
  readonly text: string;
  /** The evidence in full. */
  readonly detail?: string;
  /** The number behind the text, for programs. */
  readonly value?: number;
}

export interface UnknownCell {
  readonly kind: 'unknown';
  readonly reason: string;
}

export type CompareCell = MeasuredCell | FactCell | UnknownCell;

export interface CompareRow {
  /** Stable, e.g. `deploy.first-output`; the conclusion cites it. */
  readonly id: string;
  readonly label: string;
  /** How the figure came about. */
  readonly method: string;
  /** Absent for facts. */
  readonly better?: 'lower' | 'higher';
  readonly cells: Readonly<Partial<Record<CompareColumn, CompareCell>>>;
  /** Quotients of medians, where both were measured and the divisor is not 0. */
  readonly ratios: {
    readonly vmToContainer?: number;
    readonly containerToHost?: number;
    readonly vmToHost?: number;
  };
}

export interface CompareSection {
  readonly id: string;
  readonly title: string;
  /** One sentence on what the section tells. */
  readonly about: string;
  readonly rows: readonly CompareRow[];
}

export interface CompareHost {
  readonly cpuModel: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly memoryAvailableBytes: number;
  readonly kernel: string;
  readonly architecture: string;
  readonly distribution: string;
  /** kvm, tcg (software emulation) or none, and why. */
  readonly accelerator: string;
  readonly acceleratorReason?: string;
  readonly containerRuntime?: string;
  /** Load averages of one minute. */
  readonly loadBefore: number;
  readonly loadAfter: number;
}

export interface CompareSubject {
  readonly image: string;
  readonly imageId: string;
  readonly command: readonly string[];
  /** Where the command came from, or what it turned out to be. */
  readonly commandNote: string;
  readonly isolations: readonly CompareIsolation[];
  readonly runs: Readonly<Partial<Record<CompareIsolation, number>>>;
}

export interface CompareSentence {
  readonly text: string;
  /** Ids of the rows that it rests on. */
  readonly rows: readonly string[];
}

export interface CompareReport {
  readonly version: 1;
  readonly startedAt: string;
  readonly durationMs: number;
  readonly host: CompareHost;
  readonly subject: CompareSubject;
  /** Isolations that could not run here. */
  readonly absent: readonly { readonly isolation: CompareIsolation; readonly reason: string }[];
  readonly sections: readonly CompareSection[];
  readonly conclusion: readonly CompareSentence[];
  /** What a reader must know to read the figures rightly. */
  readonly caveats: readonly string[];
  /** The page, if it was asked for. */
  readonly html?: string;
}

const REQUEST_KEYS = ['image', 'command', 'runs', 'isolations', 'html'];
export const MAX_COMPARE_RUNS = 100;

/** What is wrong with a request's JSON, in one sentence; undefined: it is a CompareRequest. */
export function compareRequestProblem(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return 'the request must be an object';
  const request = value as Record<string, unknown>;
  const stranger = Object.keys(request).find((key) => !REQUEST_KEYS.includes(key));
  if (stranger !== undefined) return `unknown member ${JSON.stringify(stranger)}`;
  const { image, command, runs, isolations, html } = request;
  if (image !== undefined && (typeof image !== 'string' || image === '')) return 'image must be a name';
  if (command !== undefined && !isWords(command)) return 'command must be a list of words';
  if (runs !== undefined && !isRuns(runs)) return `runs must be a whole number from 1 to ${MAX_COMPARE_RUNS}`;
  if (html !== undefined && typeof html !== 'boolean') return 'html must be true or false';
  return isolations === undefined ? undefined : isolationsProblem(isolations);
}

function isWords(value: unknown): boolean {
  return Array.isArray(value) && value.every((word) => typeof word === 'string' && !word.includes('\0'));
}

function isRuns(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MAX_COMPARE_RUNS;
}

function isolationsProblem(value: unknown): string | undefined {
  const known: readonly unknown[] = COMPARE_ISOLATIONS;
  const fits = Array.isArray(value) && value.length > 0 && value.every((item) => known.includes(item));
  return fits ? undefined : `isolations must list one or more of ${COMPARE_ISOLATIONS.join(', ')}`;
}
