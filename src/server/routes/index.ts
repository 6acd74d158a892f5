// Every route of the API, in the order in which they are tried.

import type { Route } from '../http/router.ts';
import { absentRoutes } from './absent.ts';
import { berthRoutes } from './berth.ts';
import { checkpointRoutes } from './checkpoints.ts';
import { commitRoutes } from './commit.ts';
import { configRoutes } from './config.ts';
import { containerFileRoutes } from './container-files.ts';
import { containerLifeRoutes } from './container-life.ts';
import { containerStreamRoutes } from './container-streams.ts';
import { containerRoutes } from './containers.ts';
import { eventRoutes } from './events.ts';
import { execRoutes } from './execs.ts';
import { imageTransferRoutes } from './image-transfer.ts';
import { imageRoutes } from './images.ts';
import { metricsRoutes } from './metrics.ts';
import { networkRoutes } from './networks.ts';
import { policyRoutes } from './policies.ts';
import type { Services } from './services.ts';
import { systemRoutes } from './system.ts';
import { volumeRoutes } from './volumes.ts';

export type { Services } from './services.ts';

export function allRoutes(services: Services): readonly Route[] {
  return [
    ...systemRoutes(services),
    ...metricsRoutes(services),
    ...containerRoutes(services),
    ...containerLifeRoutes(services),
    ...containerStreamRoutes(services),
    ...containerFileRoutes(services),
    ...commitRoutes(services),
    ...execRoutes(services),
    ...imageTransferRoutes(services),
    ...imageRoutes(services),
    ...volumeRoutes(services),
    ...networkRoutes(services),
    ...policyRoutes(services),
    ...eventRoutes(services),
    ...berthRoutes(services),
    ...checkpointRoutes(services),
    ...configRoutes(services),
    ...absentRoutes(),
  ];
}
