// The engine's face for policies: who has which, and changing them while workloads run.

import type { Network } from '../../core/index.ts';
import { formatPolicy, formatRule, parsePolicy } from '../../network/index.ts';
import { reach } from '../adoption.ts';
import type { Policies, PolicyTarget, PolicyView } from '../api.ts';
import type { EngineContext } from '../context.ts';
import type { Workload } from '../workload.ts';
import { memberOf } from './membership.ts';

export class PolicyTable implements Policies {
  readonly #ctx: EngineContext;

  constructor(ctx: EngineContext) {
    this.#ctx = ctx;
  }

  list(): readonly PolicyView[] {
    const workloads = this.#ctx.registry.all().map(ofWorkload);
    const networks = this.#ctx.networking.store.list().map(ofNetwork);
    return [...workloads, ...networks].filter(({ rules }) => rules.length > 0);
  }

  get({ kind, reference }: PolicyTarget): PolicyView {
    return kind === 'workload'
      ? ofWorkload(this.#ctx.registry.find(reference))
      : ofNetwork(this.#ctx.networking.store.get(reference));
  }

  async set({ kind, reference }: PolicyTarget, text: string | undefined): Promise<void> {
    // As it will be shown, and never one that cannot be read again.
    const policy = text === undefined ? undefined : formatPolicy(parsePolicy(text));
    if (kind === 'workload') await this.#setOfWorkload(await reach(this.#ctx, reference), policy);
    else await this.#setOfNetwork(this.#ctx.networking.store.get(reference), policy);
  }

  async #setOfWorkload(workload: Workload, policy: string | undefined): Promise<void> {
    await workload.lock.run(async () => {
      const { policy: _, ...others } = workload.record.spec;
      // On disk first: a daemon that dies in between is followed by one that has it in force.
      await workload.update({ spec: { ...others, ...(policy === undefined ? {} : { policy }) } });
      if (workload.running && workload.record.endpoints.length > 0)
        await this.#ctx.networking.changed(memberOf(workload));
    });
    this.#ctx.events.publish(workload.event('policy'));
  }

  async #setOfNetwork(network: Network, policy: string | undefined): Promise<void> {
    const { networking, events } = this.#ctx;
    const changed = await networking.store.change(network.id, { policy });
    await networking.networkChanged(changed);
    const attributes = { name: network.name, type: network.driver };
    events.publish({ type: 'network', action: 'policy', actor: { id: network.id, attributes } });
  }
}

function rulesOf(policy: string | undefined): readonly string[] {
  return policy === undefined ? [] : parsePolicy(policy).map(formatRule);
}

function ofWorkload({ id, name, record }: Workload): PolicyView {
  return { kind: 'workload', id, name, rules: rulesOf(record.spec.policy) };
}

function ofNetwork({ id, name, policy }: Network): PolicyView {
  return { kind: 'network', id, name, rules: rulesOf(policy) };
}
