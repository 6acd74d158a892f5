// The engine's face for what networks make of the host.

import { BerthError } from '../../core/index.ts';
import type { NetworkHost } from '../api.ts';
import type { EngineContext } from '../context.ts';

export function networkHost({ networking, registry }: EngineContext): NetworkHost {
  return {
    findings: () => networking.findings(),
    uninstall: async () => {
      const users = registry.all().filter(({ active, record }) => active && record.endpoints.length > 0);
      if (users.length > 0)
        throw new BerthError(
          'conflict',
          `workloads run on networks: ${users.map(({ name }) => name).join(', ')}: stop them first`,
        );
      await networking.uninstall();
    },
  };
}
