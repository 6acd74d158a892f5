// Reads the source tree for the architecture tests: files, imports, code without comments and strings.

import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export function read(path: string): string {
  return readFileSync(posix.join(ROOT, path), 'utf8');
}

export function exists(path: string): boolean {
  return existsSync(posix.join(ROOT, path));
}

/** Files under version control or about to be, relative to the repository's root. */
export const files: readonly string[] = execFileSync(
  'git',
  ['ls-files', '--cached', '--others', '--exclude-standard'],
  { cwd: ROOT, encoding: 'utf8' },
)
  .split('\n')
  .filter((path) => path !== '' && exists(path) && lstatSync(posix.join(ROOT, path)).isFile());

export const sources = files.filter((path) => path.startsWith('src/') && path.endsWith('.ts'));

/** `src/drivers/vm/x.ts` → `drivers`. */
export function roomOf(path: string): string {
  return path.split('/')[1] ?? '';
}

export function lineCount(text: string): number {
  return text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
}

/** The text with comments blanked out and the insides of quotes emptied; line numbers stay. */
export function codeOnly(text: string): string {
  const token = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g;
  return text.replace(token, (found) => (found.startsWith('/') ? found.replace(/[^\n]/g, ' ') : "''"));
}

export interface Import {
  readonly from: string;
  /** A path of the repository, or the name of a module. */
  readonly to: string;
  /** Gone at run time. */
  readonly typeOnly: boolean;
}

const NAMES = String.raw`[\w\s,{}*$]+?\sfrom\s*`;
const STATEMENT = String.raw`^\s*(?:import\s+(?<type>type\s+)?(?:${NAMES})?|export\s+(?<retype>type\s+)?${NAMES})`;
const IMPORT = new RegExp(`(?:${STATEMENT}|\\bimport\\(\\s*)['"](?<target>[^'"]+)['"]`, 'gm');

/** Every import of a file, of values and of types alike. */
export function importsOf(path: string): Import[] {
  return [...read(path).matchAll(IMPORT)].map(({ groups }) => {
    const target = groups?.['target'] ?? '';
    return {
      from: path,
      to: target.startsWith('.') ? posix.join(posix.dirname(path), target) : target,
      typeOnly: (groups?.['type'] ?? groups?.['retype']) !== undefined,
    };
  });
}
