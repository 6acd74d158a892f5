// Figures of the daemon and its host as metrics. docs/metrics.md lists them.

import { ISOLATIONS, type WorkloadView } from '../../core/index.ts';
import type { EngineFigures } from '../../engine/api.ts';
import { START_BOUNDS_SECONDS } from '../../engine/index.ts';
import { readHostPressures } from '../../host/index.ts';
import { type Exposition, formatLabels, type Metric } from './exposition.ts';
import { addPressures } from './workloads.ts';

function metric(name: string, type: Metric['type'], help: string): Metric {
  return { name, type, help };
}

const BUILD = metric('berth_build_info', 'gauge', 'Always 1: the version is a label.');
const WORKLOADS = metric('berth_workloads', 'gauge', 'Workloads by isolation and state.');
const STARTS = metric('berth_starts_total', 'counter', 'Starts of workloads that went well.');
const FAILURES = metric('berth_start_failures_total', 'counter', 'Starts of workloads that failed.');
const WAITING = metric('berth_pool_machines', 'gauge', 'Instances that wait for a start.');
const HITS = metric('berth_pool_hits_total', 'counter', 'Starts that took over an instance that waited.');
const MISSES = metric('berth_pool_misses_total', 'counter', 'Starts that looked for one in vain.');
const TEMPLATES = metric('berth_templates', 'gauge', 'Templates that instances are copied from.');
const HELD = metric('berth_template_bytes', 'gauge', 'Memory that templates hold.');
const ORIGINS = metric('berth_starts_by_origin_total', 'counter', 'Starts by copying, and by booting.');
const RESIDENT = metric('process_resident_memory_bytes', 'gauge', 'Resident memory of the daemon.');
const CPU = metric('process_cpu_seconds_total', 'counter', 'CPU time that the daemon has spent.');
const SINCE = metric('process_start_time_seconds', 'gauge', 'When the daemon was started, since the epoch.');

export interface DaemonView {
  readonly version: string;
  readonly workloads: readonly WorkloadView[];
  readonly figures: EngineFigures;
}

export function addDaemon(out: Exposition, { version, workloads, figures }: DaemonView): void {
  out.add(BUILD, formatLabels({ version }), 1);
  addCounts(out, workloads);
  addStarts(out, figures);
  out.add(RESIDENT, '', process.memoryUsage.rss());
  const { user, system } = process.cpuUsage();
  out.add(CPU, '', (user + system) / 1e6);
  out.add(SINCE, '', performance.timeOrigin / 1000);
  addPressures(out, 'berth_host', '', readHostPressures());
}

const STATES = ['created', 'running', 'paused', 'exited', 'unknown'] as const;

/** Those that there are none of are 0, so that a sum over time has no gaps. */
function addCounts(out: Exposition, workloads: readonly WorkloadView[]): void {
  for (const isolation of ISOLATIONS)
    for (const state of STATES) {
      const count = workloads.filter((view) => view.spec.isolation === isolation && view.state === state);
      out.add(WORKLOADS, formatLabels({ isolation, state }), count.length);
    }
}

function addStarts(out: Exposition, figures: EngineFigures): void {
  for (const isolation of ISOLATIONS) {
    const labels = formatLabels({ isolation });
    const { starts, kept } = figures[isolation];
    out.add(STARTS, labels, starts.count);
    out.add(FAILURES, labels, starts.failures);
    out.addHistogram('berth_start_duration_seconds', 'Time from a start to the process running.', labels, {
      bounds: START_BOUNDS_SECONDS,
      within: starts.within,
      count: starts.count,
      sum: starts.sumSeconds,
    });
    if (kept === undefined) continue;
    out.add(WAITING, labels, kept.waiting);
    out.add(HITS, labels, kept.hits);
    out.add(MISSES, labels, kept.misses);
    out.add(TEMPLATES, labels, kept.templates);
    out.add(HELD, labels, kept.templateBytes);
    out.add(ORIGINS, `${labels},${formatLabels({ origin: 'copy' })}`, kept.forked);
    out.add(ORIGINS, `${labels},${formatLabels({ origin: 'boot' })}`, kept.booted);
  }
}
