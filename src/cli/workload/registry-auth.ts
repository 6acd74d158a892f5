// Credentials for a registry, from the file that Docker's client keeps them in.

import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { splitReference } from '../../sdk/images.ts';

const DOCKER_HUB = 'https://index.docker.io/v1/';

interface StoredAuth {
  readonly auth?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
}

/** The value of X-Registry-Auth for an image's registry, or nothing if no credentials are kept for it. */
export function registryAuth(
  image: string,
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const registry = registryOf(image);
  const stored = readAuths(env)[registry] ?? readAuths(env)[`https://${registry}`];
  if (stored === undefined) return undefined;
  const [username, ...password] = Buffer.from(stored.auth ?? '', 'base64')
    .toString()
    .split(':');
  const value = {
    ...(stored.auth === undefined ? {} : { username, password: password.join(':') }),
    ...(stored.identitytoken === undefined ? {} : { identitytoken: stored.identitytoken }),
    ...(stored.registrytoken === undefined ? {} : { registrytoken: stored.registrytoken }),
    serveraddress: registry,
  };
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** The registry a name is resolved to, under the key that the credentials file uses. */
export function registryOf(image: string): string {
  const [first = '', rest] = splitReference(image).fromImage.split(/\/(.*)/s);
  const isHost = rest !== undefined && (/[.:]/.test(first) || first === 'localhost');
  return isHost && first !== 'docker.io' && first !== 'index.docker.io' ? first : DOCKER_HUB;
}

function readAuths(env: Readonly<Record<string, string | undefined>>): Record<string, StoredAuth> {
  const folder = env['DOCKER_CONFIG'] ?? join(env['HOME'] ?? homedir(), '.docker');
  try {
    const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as { auths?: unknown };
    return typeof config.auths === 'object' && config.auths !== null
      ? (config.auths as Record<string, StoredAuth>)
      : {};
  } catch {
    // No file, or not ours to mend: the registry will say if it wants credentials.
    return {};
  }
}
