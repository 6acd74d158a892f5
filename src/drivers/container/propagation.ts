// Whether mounts can reach a container, or come out of it, as a bind asks: that depends on the host's mount it is of.

import { readFile, realpath } from 'node:fs/promises';
import { BerthError, type InstanceSpec } from '../../core/index.ts';

/** Fails with `invalid-argument`, in Docker's words, for a bind whose propagation the host's mount does not have. */
export async function checkPropagation(spec: InstanceSpec): Promise<void> {
  for (const mount of spec.mounts) {
    if (mount.type !== 'bind' || mount.propagation.endsWith('private')) continue;
    const { point, tags } = mountOf(
      await realpath(mount.source),
      await readFile('/proc/self/mountinfo', 'utf8'),
    );
    const isShared = tags.includes('shared:');
    if (isShared || (mount.propagation.endsWith('slave') && tags.includes('master:'))) continue;
    const kind = mount.propagation.endsWith('shared') ? 'shared' : 'shared or slave';
    throw new BerthError(
      'invalid-argument',
      `path ${mount.source} is mounted on ${point} but it is not a ${kind} mount: make it one (mount --make-rshared ${point}), or bind it rprivate`,
    );
  }
}

/** The last mount whose point holds the path, and what mountinfo says of its propagation. */
export function mountOf(path: string, mountinfo: string): { readonly point: string; readonly tags: string } {
  let found = { point: '/', tags: '' };
  for (const line of mountinfo.split('\n')) {
    const [head = ''] = line.split(' - ');
    const [, , , , point = '', , ...tags] = head.split(' ');
    const holds = point === '/' || path === point || path.startsWith(`${point}/`);
    if (point !== '' && holds && point.length >= found.point.length) found = { point, tags: tags.join(' ') };
  }
  return found;
}
