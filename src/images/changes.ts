// Changes to an image's configuration, written as Dockerfile instructions (`docker import --change`).

import { BerthError, type ImageRunConfig } from '../core/index.ts';

type Draft = { -readonly [Key in keyof ImageRunConfig]: ImageRunConfig[Key] };

const APPLY: Readonly<Record<string, (draft: Draft, rest: string, line: string) => void>> = {
  CMD: (draft, rest) => {
    draft.Cmd = command(rest);
  },
  ENTRYPOINT: (draft, rest) => {
    draft.Entrypoint = command(rest);
  },
  ENV: (draft, rest, line) => {
    const added = pairs(rest, line);
    const names = new Set(added.map(([name]) => name));
    const kept = (draft.Env ?? []).filter((entry) => !names.has(entry.slice(0, entry.indexOf('='))));
    draft.Env = [...kept, ...added.map(([name, value]) => `${name}=${value}`)];
  },
  LABEL: (draft, rest, line) => {
    draft.Labels = { ...draft.Labels, ...Object.fromEntries(pairs(rest, line)) };
  },
  EXPOSE: (draft, rest, line) => {
    draft.ExposedPorts = {
      ...draft.ExposedPorts,
      ...Object.fromEntries(words(rest).map((word) => port(word, line))),
    };
  },
  VOLUME: (draft, rest) => {
    const paths = jsonList(rest) ?? words(rest);
    draft.Volumes = { ...draft.Volumes, ...Object.fromEntries(paths.map((path) => [path, {}])) };
  },
  USER: (draft, rest) => {
    draft.User = rest;
  },
  WORKDIR: (draft, rest) => {
    draft.WorkingDir = rest.startsWith('/') ? rest : `${draft.WorkingDir ?? ''}/${rest}`;
  },
  STOPSIGNAL: (draft, rest) => {
    draft.StopSignal = rest;
  },
};

/** The configuration with the instructions applied in order. Fails with `invalid-argument` naming the instruction. */
export function applyChanges(config: ImageRunConfig, changes: readonly string[]): ImageRunConfig {
  const draft: Draft = { ...config };
  for (const line of changes) {
    const match = /^\s*([A-Za-z]+)\s+(.*\S)\s*$/s.exec(line);
    const apply = match?.[1] === undefined ? undefined : APPLY[match[1].toUpperCase()];
    if (apply === undefined || match?.[2] === undefined)
      throw new BerthError(
        'invalid-argument',
        `${JSON.stringify(line)} is not a change: write one of ${Object.keys(APPLY).join(', ')} and its value`,
      );
    apply(draft, match[2], line);
  }
  return draft;
}

function jsonList(text: string): string[] | undefined {
  if (!text.startsWith('[')) return undefined;
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) && list.every((item) => typeof item === 'string') ? list : undefined;
  } catch {
    return undefined;
  }
}

function command(text: string): string[] {
  return jsonList(text) ?? ['/bin/sh', '-c', text];
}

function port(word: string, line: string): readonly [string, object] {
  const match = /^(\d{1,5})(?:\/(tcp|udp|sctp))?$/.exec(word);
  if (match === null || Number(match[1]) > 65535)
    throw new BerthError('invalid-argument', `${JSON.stringify(line)}: ${word} is not a port`);
  return [`${match[1]}/${match[2] ?? 'tcp'}`, {}];
}

/** Words separated by blanks; quotes and backslashes protect blanks and go. */
function words(text: string): string[] {
  const found: string[] = [];
  const word = /(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])+/gs;
  for (const [raw] of text.matchAll(word))
    found.push(
      raw.replace(
        /"((?:\\.|[^"\\])*)"|'([^']*)'|\\(.)/gs,
        (_, double: string | undefined, single: string | undefined, escaped: string | undefined) =>
          double?.replace(/\\(["\\$])/g, '$1') ?? single ?? escaped ?? '',
      ),
    );
  return found;
}

/** `a=1 b="2 3"`, or the old `a 1`. */
function pairs(text: string, line: string): (readonly [string, string])[] {
  const parts = words(text);
  const [first = '', ...rest] = parts;
  if (!first.includes('=')) {
    if (rest.length === 0)
      throw new BerthError('invalid-argument', `${JSON.stringify(line)}: ${first} has no value`);
    return [[first, text.slice(text.indexOf(first) + first.length).trim()]];
  }
  return parts.map((part) => {
    const equals = part.indexOf('=');
    if (equals <= 0)
      throw new BerthError('invalid-argument', `${JSON.stringify(line)}: ${part} is not name=value`);
    return [part.slice(0, equals), part.slice(equals + 1)];
  });
}
