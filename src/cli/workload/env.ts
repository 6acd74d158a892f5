// Environment variables and labels from flags and files.

import { readFileSync } from 'node:fs';
import { CliError } from '../errors.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** NAME=value items of `--env-file` and `-e`, the latter winning; a bare NAME takes its value from `env` or is left out. */
export function collectEnv(files: readonly string[], items: readonly string[], env: Env): string[] {
  const lines = [...files.flatMap((file) => readPairs(file, 'environment')), ...items];
  return lines.flatMap((line) => {
    if (line.startsWith('=') || line === '') {
      throw new CliError(`invalid environment variable: ${JSON.stringify(line)}`, 125);
    }
    if (line.includes('=')) return [line];
    const value = env[line];
    return value === undefined ? [] : [`${line}=${value}`];
  });
}

/** Labels of `--label-file` and `-l`; a bare key has an empty value. */
export function collectLabels(files: readonly string[], items: readonly string[]): Record<string, string> {
  return keyValues([...files.flatMap((file) => readPairs(file, 'label')), ...items], '');
}

/** `key=value` items as an object. Without `bare` a missing `=` is an error that names `what`. */
export function keyValues(
  items: readonly string[],
  bare: string | undefined,
  what = 'label',
): Record<string, string> {
  const pairs: Record<string, string> = {};
  for (const item of items) {
    const cut = item.indexOf('=');
    if (cut === 0 || (cut < 0 && bare === undefined)) {
      throw new CliError(`invalid ${what} ${JSON.stringify(item)}: expected key=value`, 125);
    }
    pairs[cut < 0 ? item : item.slice(0, cut)] = cut < 0 ? (bare ?? '') : item.slice(cut + 1);
  }
  return pairs;
}

function readPairs(file: string, what: string): string[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new CliError(`cannot read ${what} file ${file}: ${(cause as Error).message}`, 125, { cause });
  }
  const pairs: string[] = [];
  for (const [i, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    const line = raw.trimStart();
    if (line === '' || line.startsWith('#')) continue;
    const name = line.split('=', 1)[0] ?? '';
    if (name === '' || /\s/.test(name)) {
      throw new CliError(
        `${what} file ${file}, line ${i + 1}: the name ${JSON.stringify(name)} is empty or holds white space`,
        125,
      );
    }
    pairs.push(line);
  }
  return pairs;
}
