// An image of a workload's file system.

import { given, readCommitConfig } from '../../wire/index.ts';
import { readJson } from '../http/body.ts';
import { sendJson } from '../http/respond.ts';
import type { Route } from '../http/router.ts';
import { publishImage, type Services } from './services.ts';

export function commitRoutes(services: Services): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/commit',
      handle: async (call) => {
        const config = readCommitConfig(await readJson(call, {}));
        const repository = call.text('repo') || undefined;
        const tag = call.text('tag') || undefined;
        const reference = repository === undefined || tag === undefined ? repository : `${repository}:${tag}`;
        const image = await services.engine.workloads.commit(call.required('container'), {
          ...given('reference', reference),
          ...given('message', call.text('comment')),
          ...given('author', call.text('author')),
          changes: call.query
            .getAll('changes')
            .flatMap((text) => text.split('\n').filter((line) => line !== '')),
          // Docker pauses unless it is told not to.
          pause: call.text('pause') === undefined || call.flag('pause'),
          config,
        });
        if (reference !== undefined) publishImage(services, 'tag', image.id, reference);
        sendJson(call, { Id: image.id }, 201);
      },
    },
  ];
}
