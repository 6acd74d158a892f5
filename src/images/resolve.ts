// Which image a user means: a name with tag or digest, an id, or the beginning of one.

import { BerthError } from '../core/index.ts';
import type { CatalogState } from './catalog.ts';
import { parseReference } from './reference.ts';

/** Id of the image. Fails with `not-found`, or `invalid-argument` for an ambiguous prefix or what is no reference. */
export function resolveImage(state: CatalogState, text: string): string {
  const id = byFullId(state, text) ?? byName(state, text) ?? byPrefix(state, text);
  if (id === undefined) throw noSuchImage(text);
  return id;
}

export function noSuchImage(reference: string): BerthError {
  return new BerthError('not-found', `No such image: ${withTag(reference)}`);
}

function byFullId(state: CatalogState, text: string): string | undefined {
  const id = text.startsWith('sha256:') ? text : `sha256:${text}`;
  return state.images.has(id) ? id : undefined;
}

function byName(state: CatalogState, text: string): string | undefined {
  if (/^([0-9a-f]{64}|sha256:.*)$/.test(text)) return undefined;
  const { domain, path, tag, digest } = parseReference(text);
  const name = `${domain}/${path}`;
  if (digest === undefined) return state.tags.get(`${name}:${tag ?? 'latest'}`);
  for (const [id, entry] of state.images) {
    if (entry.repoDigests.includes(`${name}@${digest}`)) return id;
    if (entry.manifestDigest === digest && hasName(state, id, name)) return id;
  }
  return undefined;
}

function hasName(state: CatalogState, id: string, name: string): boolean {
  for (const [tag, target] of state.tags) if (target === id && tag.startsWith(`${name}:`)) return true;
  return false;
}

function byPrefix(state: CatalogState, text: string): string | undefined {
  const prefix = text.startsWith('sha256:') ? text : `sha256:${text}`;
  if (!/^sha256:[0-9a-f]+$/.test(prefix)) return undefined;
  const found = [...state.images.keys()].filter((id) => id.startsWith(prefix));
  if (found.length > 1)
    throw new BerthError('invalid-argument', `${text} is ambiguous: ${found.length} image ids begin with it`);
  return found[0];
}

/** As Docker's message has it: with the tag that was meant. */
function withTag(text: string): string {
  if (/^([0-9a-f]+|sha256:.*)$/.test(text) || text.includes('@')) return text;
  return text.lastIndexOf(':') > text.lastIndexOf('/') ? text : `${text}:latest`;
}
