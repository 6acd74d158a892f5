// Sizes: limits.ts holds the limits and what is exempt from one. Functions in TypeScript are measured by the linter.

import assert from 'node:assert/strict';
import { posix } from 'node:path';
import { describe, test } from 'node:test';
import * as limits from './limits.ts';
import { codeOnly, files, lineCount, read, sources } from './source-tree.ts';

const C_FOLDERS = ['agent/', 'shim/', 'unpack/', 'workbench/'];
const cFiles = files.filter(
  (path) => C_FOLDERS.some((folder) => path.startsWith(folder)) && /\.[ch]$/.test(path),
);
const code = files.filter((path) => /\.(ts|mjs)$/.test(path));

/** `name:line (n lines)` of each C function whose body exceeds the limit. Bodies end at a brace in column 0. */
function longFunctions(path: string): string[] {
  const found: string[] = [];
  let start = -1;
  let head = '';
  for (const [index, line] of codeOnly(read(path)).split('\n').entries()) {
    if (start < 0 && /^[a-z_].*\(/i.test(line)) head = line;
    if (start < 0 && /\)\s*\{\s*$|^\{\s*$/.test(line)) start = index;
    if (!line.startsWith('}')) continue;
    const lines = index - start - 1;
    if (start >= 0 && lines > limits.FUNCTION_LINES)
      found.push(`${path}:${start + 1} ${head.trim()} (${lines} lines)`);
    start = -1;
  }
  return found;
}

interface Members {
  readonly name: string;
  readonly methods: number;
}

/** Interfaces of a file and the number of methods each declares itself. */
function interfacesOf(text: string): Members[] {
  const source = codeOnly(text);
  return [...source.matchAll(/\binterface\s+(\w+)[^{]*\{/g)].map((match) => ({
    name: match[1] ?? '',
    methods: countMethods(source, match.index + match[0].length),
  }));
}

function countMethods(source: string, bodyStart: number): number {
  let depth = 0;
  let member = '';
  let methods = 0;
  for (const sign of source.slice(bodyStart)) {
    const end = sign === '}' && depth === 0;
    if (depth === 0 && (sign === ';' || end)) {
      if (/^\s*(readonly\s+)?\w+\??\s*(<[^(]*>)?\(/.test(member)) methods++;
      member = '';
    } else {
      member += sign;
    }
    if (end) break;
    if ('({['.includes(sign)) depth++;
    if (')}]'.includes(sign)) depth--;
  }
  return methods;
}

/** Folders with the number of production files directly in each; a C header counts with its source. */
function folderSizes(): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const path of [...sources, ...cFiles]) {
    if (/\.(test\.ts|h)$/.test(path)) continue;
    const folder = posix.dirname(path);
    sizes.set(folder, (sizes.get(folder) ?? 0) + 1);
  }
  return sizes;
}

describe('sizes', () => {
  test(`no file has more than ${limits.FILE_LINES} lines`, () => {
    const long = [...code, ...cFiles].filter((path) => lineCount(read(path)) > limits.FILE_LINES);
    assert.deepEqual(long, []);
  });

  test(`no C function has more than ${limits.FUNCTION_LINES} lines`, () => {
    assert.deepEqual(cFiles.flatMap(longFunctions), []);
  });

  test(`no interface has more than ${limits.INTERFACE_METHODS} methods, but for those with a reason`, () => {
    const wide = sources.flatMap((path) =>
      interfacesOf(read(path))
        .filter(
          (found) => found.methods > limits.INTERFACE_METHODS && !(found.name in limits.WIDE_INTERFACES),
        )
        .map((found) => `${path}: ${found.name} (${found.methods} methods)`),
    );
    assert.deepEqual(wide, []);
  });

  test(`no folder has more than ${limits.ROOM_FILES} files, but for those with a reason`, () => {
    const large = [...folderSizes()].filter(
      ([folder, count]) => count > limits.ROOM_FILES && !(folder in limits.LARGE_ROOMS),
    );
    assert.deepEqual(large, []);
  });

  test(`files that wire have at most ${limits.WIRING_LINES} lines`, () => {
    const wiring = sources.filter((path) => path.startsWith('src/bin/') && !path.endsWith('.test.ts'));
    assert.deepEqual(
      wiring.filter((path) => lineCount(read(path)) > limits.WIRING_LINES),
      [],
    );
  });
});
