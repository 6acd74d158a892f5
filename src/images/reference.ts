// Names of images, as Docker reads them: `nginx` is docker.io/library/nginx:latest.
// Grammar: the "distribution reference" of the OCI distribution project.

import { BerthError } from '../core/index.ts';

const DEFAULT_DOMAIN = 'docker.io';
const LEGACY_DEFAULT_DOMAIN = 'index.docker.io';
const OFFICIAL_PREFIX = 'library/';
const MAX_NAME_LENGTH = 255;

const DOMAIN_PART = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const DOMAIN = new RegExp(`^(?:${DOMAIN_PART}(?:\\.${DOMAIN_PART})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`);
const PATH_PART = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const PATH = new RegExp(`^${PATH_PART}(?:/${PATH_PART})*$`);
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const BARE_ID = /^[0-9a-f]{64}$/;

export interface Reference {
  /** Registry, with a port if one was given. */
  readonly domain: string;
  /** Repository in it, e.g. library/nginx. */
  readonly path: string;
  readonly tag?: string;
  readonly digest?: string;
}

function invalid(text: string, why: string): BerthError {
  return new BerthError('invalid-argument', `invalid reference format: ${JSON.stringify(text)}: ${why}`);
}

function splitDomain(name: string): readonly [domain: string, path: string] {
  const slash = name.indexOf('/');
  const first = name.slice(0, Math.max(slash, 0));
  const isDomain =
    slash >= 0 && (/[.:]/.test(first) || first === 'localhost' || first.toLowerCase() !== first);
  const domain = isDomain ? first : DEFAULT_DOMAIN;
  const path = isDomain ? name.slice(slash + 1) : name;
  if (domain !== DEFAULT_DOMAIN && domain !== LEGACY_DEFAULT_DOMAIN) return [domain, path];
  return [DEFAULT_DOMAIN, path.includes('/') ? path : `${OFFICIAL_PREFIX}${path}`];
}

function checkName(text: string, domain: string, path: string): void {
  if (path.toLowerCase() !== path) throw invalid(text, `repository name (${path}) must be lowercase`);
  if (!DOMAIN.test(domain)) throw invalid(text, `${JSON.stringify(domain)} is not a registry's name`);
  if (!PATH.test(path)) throw invalid(text, `${JSON.stringify(path)} is not a repository's name`);
  if (domain.length + 1 + path.length > MAX_NAME_LENGTH)
    throw invalid(text, `the repository name must not have more than ${MAX_NAME_LENGTH} characters`);
}

/** Reads NAME[:TAG][@DIGEST]; no tag is added. Fails with `invalid-argument` telling which part is wrong. */
export function parseReference(text: string): Reference {
  if (text === '') throw invalid(text, 'it is empty');
  if (BARE_ID.test(text))
    throw invalid(text, 'a repository name cannot be 64 hexadecimal digits: that is an image id');
  const at = text.indexOf('@');
  const digest = at < 0 ? undefined : text.slice(at + 1);
  const tagged = at < 0 ? text : text.slice(0, at);
  const colon = tagged.lastIndexOf(':');
  const hasTag = colon > tagged.lastIndexOf('/');
  const tag = hasTag ? tagged.slice(colon + 1) : undefined;
  const [domain, path] = splitDomain(hasTag ? tagged.slice(0, colon) : tagged);
  checkName(text, domain, path);
  if (tag !== undefined && !TAG.test(tag)) throw invalid(text, `${JSON.stringify(tag)} is not a tag`);
  if (digest !== undefined && !DIGEST.test(digest))
    throw invalid(text, `${JSON.stringify(digest)} is not a sha256 digest`);
  return {
    domain,
    path,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** The reference with the tag `latest` if it has neither tag nor digest. */
export function withDefaultTag(reference: Reference): Reference {
  return reference.tag === undefined && reference.digest === undefined
    ? { ...reference, tag: 'latest' }
    : reference;
}

/** domain/path: what a repository is called everywhere. */
export function repositoryName(reference: Reference): string {
  return `${reference.domain}/${reference.path}`;
}

/** The repository as people write it: without docker.io/library/. */
export function familiarName(reference: Reference): string {
  if (reference.domain !== DEFAULT_DOMAIN) return repositoryName(reference);
  const official = reference.path.startsWith(OFFICIAL_PREFIX);
  const short = official ? reference.path.slice(OFFICIAL_PREFIX.length) : reference.path;
  return short.includes('/') && official ? reference.path : short;
}

function suffix(reference: Reference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`;
  return reference.digest === undefined ? tag : `${tag}@${reference.digest}`;
}

/** The whole reference as people write it. */
export function formatFamiliar(reference: Reference): string {
  return familiarName(reference) + suffix(reference);
}

/** The whole reference in full. */
export function formatCanonical(reference: Reference): string {
  return repositoryName(reference) + suffix(reference);
}
