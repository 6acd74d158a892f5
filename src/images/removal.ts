// Removal of images, by Docker's rules and in Docker's words.

import { createHash } from 'node:crypto';
import { BerthError, type ImageRemoval } from '../core/index.ts';
import { hexOf, isDigest, shortId } from './digest.ts';
import type { Library } from './library.ts';
import { formatFamiliar, parseReference, repositoryName, withDefaultTag } from './reference.ts';

function repositoryOf(name: string): string {
  return repositoryName(parseReference(name));
}

function familiar(name: string): string {
  return formatFamiliar(parseReference(name));
}

/** Tags and digests of the image, in full. */
function namesOf(library: Library, id: string): readonly string[] {
  const tags = [...library.state.tags].filter(([, target]) => target === id).map(([tag]) => tag);
  return [...tags, ...(library.state.images.get(id)?.repoDigests ?? [])];
}

/** Whether the names are one tag at most and digests of the same repository. */
function isSingle(names: readonly string[]): boolean {
  const tags = names.filter((name) => !name.includes('@'));
  return tags.length <= 1 && new Set(names.map(repositoryOf)).size <= 1;
}

function isIdOf(id: string, text: string): boolean {
  return id.startsWith(text) || hexOf(id).startsWith(text);
}

/** Removes the image or one of its names. See ImageStore.remove. */
export async function removeImage(
  library: Library,
  reference: string,
  force: boolean,
): Promise<readonly ImageRemoval[]> {
  const id = library.resolve(reference);
  const names = namesOf(library, id);
  // A name wins over an id that looks like it, as when it was resolved.
  const byId = isDigest(reference) || (isIdOf(id, reference) && !names.includes(canonical(reference)));
  return byId
    ? removeById(library, id, names, force)
    : removeName(library, id, names, canonical(reference), force);
}

function canonical(reference: string): string {
  if (isDigest(reference) || /^[0-9a-f]{64}$/.test(reference)) return reference;
  const parsed = withDefaultTag(parseReference(reference));
  const name = repositoryName(parsed);
  return parsed.digest === undefined ? `${name}:${parsed.tag}` : `${name}@${parsed.digest}`;
}

async function removeName(
  library: Library,
  id: string,
  names: readonly string[],
  name: string,
  force: boolean,
): Promise<readonly ImageRemoval[]> {
  const users = library.inUse().get(id) ?? [];
  const [user] = users;
  if (!force && user !== undefined && isSingle(names))
    throw new BerthError(
      'conflict',
      `conflict: unable to remove repository reference ${JSON.stringify(familiar(name))} (must force) - ` +
        `container ${user.slice(0, 12)} is using its referenced image ${shortId(id)}`,
    );
  const gone = withOrphanedDigests(names, name);
  const left = names.filter((other) => !gone.includes(other));
  return left.length > 0 || users.length > 0
    ? untag(library, id, gone)
    : [...untagged(gone), ...(await deleteImage(library, id))];
}

/** When the last tag of a repository goes, so do the digests that it was pulled by. */
function withOrphanedDigests(names: readonly string[], name: string): readonly string[] {
  const repository = repositoryOf(name);
  const others = names.filter((other) => other !== name && repositoryOf(other) === repository);
  const hasTag = others.some((other) => !other.includes('@'));
  return [name, ...(name.includes('@') || hasTag ? [] : others)];
}

async function removeById(
  library: Library,
  id: string,
  names: readonly string[],
  force: boolean,
): Promise<readonly ImageRemoval[]> {
  const users = library.inUse().get(id) ?? [];
  const conflict = (why: string) =>
    new BerthError('conflict', `conflict: unable to delete ${shortId(id)} (must be forced) - ${why}`);
  if (!force && !isSingle(names)) throw conflict('image is referenced in multiple repositories');
  if (!force && users[0] !== undefined)
    throw conflict(`image is being used by container ${users[0].slice(0, 12)}`);
  // What uses the image keeps working: it loses its names only, and goes with the next prune.
  if (users.length > 0) return untag(library, id, names);
  return [...untagged(names), ...(await deleteImage(library, id))];
}

function untagged(names: readonly string[]): readonly ImageRemoval[] {
  return names.map((name) => ({ untagged: familiar(name) }));
}

async function untag(
  library: Library,
  id: string,
  names: readonly string[],
): Promise<readonly ImageRemoval[]> {
  await library.change((draft) => {
    for (const name of names) draft.tags.delete(name);
    const entry = draft.images.get(id);
    if (entry === undefined) return;
    const repoDigests = entry.repoDigests.filter((digest) => !names.includes(digest));
    draft.images.set(id, { ...entry, repoDigests });
  });
  return untagged(names);
}

async function deleteImage(library: Library, id: string): Promise<readonly ImageRemoval[]> {
  const layers = library.state.images.get(id)?.layers ?? [];
  const { layers: removed, dropped } = await library.drop([id]);
  if (!dropped.has(id)) return [];
  const chains = chainIds(layers.map(({ diffId }) => diffId));
  const deleted = chains.filter((_, index) => removed.has(layers[index]?.diffId ?? ''));
  return [id, ...deleted.reverse()].map((name) => ({ deleted: name }));
}

/** Names of the stacks of layers, as the OCI image specification defines ChainID. */
export function chainIds(diffIds: readonly string[]): string[] {
  const chains: string[] = [];
  for (const diffId of diffIds) {
    const below = chains.at(-1);
    const digest = () => createHash('sha256').update(`${below} ${diffId}`).digest('hex');
    chains.push(below === undefined ? diffId : `sha256:${digest()}`);
  }
  return chains;
}

/** See ImageStore.prune. */
export async function pruneImages(
  library: Library,
  all: boolean,
): Promise<{ readonly removed: readonly ImageRemoval[]; readonly reclaimedBytes: number }> {
  const used = library.inUse();
  const unused = [...library.state.images.keys()].filter(
    (id) => !used.has(id) && (all || namesOf(library, id).length === 0),
  );
  const names = new Map(unused.map((id) => [id, namesOf(library, id)]));
  const { dropped, reclaimedBytes } = await library.drop(unused);
  const removed = unused.flatMap((id) => [
    ...untagged(names.get(id) ?? []),
    ...(dropped.has(id) ? [{ deleted: id }] : []),
  ]);
  return { removed, reclaimedBytes };
}
