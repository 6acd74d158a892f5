// GET /containers/json: one line a workload.

import type { WorkloadView } from '../../core/index.ts';
import type { Networks } from '../../engine/api.ts';
import { describeSpan } from '../../wire/index.ts';
import { networksOf } from './endpoints.ts';
import { describeUnknown, type Sizes, statusWord } from './inspect.ts';
import { fromMountViews } from './mounts.ts';
import { toPortList } from './publishing.ts';

export function toSummary(view: WorkloadView, networks: Networks, nowMs: number, sizes?: Sizes) {
  return {
    Id: view.id,
    Names: [`/${view.name}`],
    Image: view.spec.image,
    ImageID: view.imageId,
    Command: [view.path, ...view.args].map(quoteWord).join(' '),
    Created: Math.floor(Date.parse(view.createdAt) / 1000),
    Ports: toPortList(view),
    ...sizes,
    Labels: view.labels,
    State: statusWord(view),
    Status: describeStatus(view, nowMs),
    HostConfig: { NetworkMode: view.spec.networkMode, Isolation: view.spec.isolation },
    NetworkSettings: { Networks: networksOf(view, networks) },
    Mounts: fromMountViews(view.mounts),
  };
}

/** As a shell would want it; Docker shows the command so as well. */
function quoteWord(word: string): string {
  return word === '' || /[\s'"\\]/.test(word) ? `'${word.replaceAll("'", `'\\''`)}'` : word;
}

/** The STATUS column, e.g. `Up 3 minutes (healthy)` or `Exited (0) 2 hours ago`. */
export function describeStatus(view: WorkloadView, nowMs: number): string {
  const since = (time: string | undefined) => describeSpan(nowMs - Date.parse(time ?? ''));
  const code = view.exit?.code ?? 0;
  if (view.removing) return 'Removal In Progress';
  if (view.restarting) return `Restarting (${code}) ${since(view.exit?.finishedAt)} ago`;
  switch (view.state) {
    case 'created':
      return 'Created';
    case 'running':
      return `Up ${since(view.startedAt)}${describeHealth(view)}`;
    case 'paused':
      return `Up ${since(view.startedAt)} (Paused)`;
    case 'exited':
      return view.exit === undefined ? 'Created' : `Exited (${code}) ${since(view.exit.finishedAt)} ago`;
    case 'unknown':
      return `Unknown (${describeUnknown(view)})`;
  }
}

function describeHealth(view: WorkloadView): string {
  if (view.health === undefined) return '';
  return view.health.status === 'starting' ? ' (health: starting)' : ` (${view.health.status})`;
}
