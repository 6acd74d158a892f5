// The direction of imports: docs/architecture.md explains it, layers.ts holds it as data.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DOORS, layers, PACKAGES, READS_PROCESS, SIBLINGS, WIRING } from './layers.ts';
import { codeOnly, exists, type Import, importsOf, read, roomOf, sources } from './source-tree.ts';

const imports: readonly Import[] = sources.flatMap(importsOf);
const inside = imports.filter((edge) => edge.to.startsWith('src/'));
const name = (edge: Import): string => `${edge.from} imports ${edge.to}`;

function isAllowed(edge: Import): boolean {
  const [from, to] = [roomOf(edge.from), roomOf(edge.to)];
  if (from === to) return true;
  return to !== WIRING && (from === WIRING || layers[from]?.includes(to) === true);
}

/** `src/drivers/vm/x.ts` → `vm`; none for files that all siblings share. */
function siblingOf(path: string): string | undefined {
  const parts = path.split('/');
  return parts.length > 3 ? parts[2] : undefined;
}

/** The files of one import cycle, or none. */
function findCycle(): string[] {
  const next = new Map<string, string[]>();
  for (const { from, to, typeOnly } of inside) if (!typeOnly) next.set(from, [...(next.get(from) ?? []), to]);
  const done = new Set<string>();
  const walk = (file: string, trail: readonly string[]): string[] => {
    if (trail.includes(file)) return [...trail.slice(trail.indexOf(file)), file];
    if (done.has(file)) return [];
    for (const to of next.get(file) ?? []) {
      const cycle = walk(to, [...trail, file]);
      if (cycle.length > 0) return cycle;
    }
    done.add(file);
    return [];
  };
  return sources.map((file) => walk(file, [])).find((cycle) => cycle.length > 0) ?? [];
}

describe('layers', () => {
  test('every room has its place in the table', () => {
    const rooms = [...new Set(sources.map(roomOf))];
    assert.deepEqual(
      rooms.filter((room) => room !== WIRING && !(room in layers)),
      [],
    );
  });

  test('a room imports only what the table allows', () => {
    assert.deepEqual(inside.filter((edge) => !isAllowed(edge)).map(name), []);
  });

  test('siblings never import each other', () => {
    const wrong = inside.filter((edge) => {
      const [from, to] = [siblingOf(edge.from), siblingOf(edge.to)];
      const siblings = roomOf(edge.from) === roomOf(edge.to) && SIBLINGS.includes(roomOf(edge.from));
      return siblings && from !== to && to !== undefined;
    });
    assert.deepEqual(wrong.map(name), []);
  });

  test('imports have no cycle', () => assert.deepEqual(findCycle(), []));

  test('every import leads to a file', () => {
    assert.deepEqual(inside.filter((edge) => !exists(edge.to)).map(name), []);
  });

  test('nothing in src imports from outside of it but Node and the packages listed', () => {
    const foreign = imports.filter((edge) => {
      const known = edge.to.startsWith('src/') || edge.to.startsWith('node:') || PACKAGES.includes(edge.to);
      const fixture = edge.from.endsWith('.test.ts') && edge.to.startsWith('test/fixtures/');
      return !known && !fixture && edge.to !== 'package.json';
    });
    assert.deepEqual(foreign.map(name), []);
  });
});

describe('doors', () => {
  test('what reaches out of the process is imported by one room only', () => {
    const wrong = imports.filter((edge) => {
      const allowed = DOORS[edge.to] ?? DOORS[`node:${edge.to}`];
      return allowed !== undefined && !allowed.includes(roomOf(edge.from));
    });
    assert.deepEqual(wrong.map(name), []);
  });

  test('environment and arguments are read at the edge', () => {
    const reads = /\bprocess\s*\.\s*(env|argv)\b|import\s*\{[^}]*\b(env|argv)\b[^}]*\}\s*from\s*''/;
    // A workload's process bears the same name.
    const shadowed = /\{[^}]*\bprocess\b[^}]*\}\s*=|\bprocess: ProcessSpec\b/;
    const wrong = sources.filter((path) => {
      if (READS_PROCESS.includes(roomOf(path)) || path.endsWith('.test.ts')) return false;
      const code = codeOnly(read(path));
      return reads.test(code) && !shadowed.test(code);
    });
    assert.deepEqual(wrong, []);
  });
});
