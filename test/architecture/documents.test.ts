// Documents and comments: what every room says of itself, links that lead somewhere, nothing that belongs to one machine.

import assert from 'node:assert/strict';
import { posix } from 'node:path';
import { describe, test } from 'node:test';
import { ADR_LINES, README_LINES } from './limits.ts';
import { exists, files, lineCount, read, sources } from './source-tree.ts';

const documents = files.filter((path) => path.endsWith('.md'));
const texts = files.filter((path) => !/\.(png|gz|tar|zst|bin|ico)$/.test(path));

/** Lines of the comment a file opens with. */
function openingComment(path: string): number {
  const lines = read(path)
    .replace(/^#!.*\n/, '')
    .split('\n');
  const end = lines.findIndex((line) => !/^(\/\/|\/?\*)/.test(line.trim()));
  return end < 0 ? lines.length : end;
}

const slug = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');

function hasAnchor(path: string, anchor: string): boolean {
  if (!path.endsWith('.md')) return true;
  const headings = read(path).matchAll(/^#+\s+(.*)$/gm);
  return [...headings].some((match) => slug(match[1] ?? '') === anchor);
}

/** Links of a document to files that are not there, or to headings that are not in them. */
function brokenLinks(path: string): string[] {
  const links = [...read(path).matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? '');
  return links
    .filter((link) => !/^[a-z]+:/.test(link))
    .filter((link) => {
      const [file = '', anchor] = link.split('#');
      const target = file === '' ? path : posix.join(posix.dirname(path), file);
      return !exists(target) || (anchor !== undefined && !hasAnchor(target, anchor));
    })
    .map((link) => `${path}: ${link}`);
}

function linesWith(pattern: RegExp, except: (path: string) => boolean): string[] {
  return texts
    .filter((path) => !except(path))
    .flatMap((path) =>
      read(path)
        .split('\n')
        .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
    );
}

const isHere = (path: string): boolean => path.startsWith('test/architecture/');

describe('documents', () => {
  test('every room opens with what it owns, what it never does and its invariant, in 3 to 8 lines', () => {
    const entries = sources.filter((path) => /^src\/(drivers\/)?[^/]+\/index\.ts$/.test(path));
    const wrong = entries.filter((path) => openingComment(path) < 3 || openingComment(path) > 8);
    assert.deepEqual(wrong, []);
  });

  test('every file of src opens with a comment that says what it is; a command says it in its summary', () => {
    assert.deepEqual(
      sources.filter((path) => !/\.test\.ts$|^src\/cli\/commands\//.test(path) && openingComment(path) === 0),
      [],
    );
  });

  test('links lead to files and headings that exist', () => {
    assert.deepEqual(documents.flatMap(brokenLinks), []);
  });

  test('files named in documents in code style exist', () => {
    const named = documents.flatMap((path) =>
      [
        ...read(path).matchAll(/`((?:src|test|scripts|docs|bench|agent|shim|unpack|workbench)\/[\w./-]+)`/g),
      ].map((match) => [path, match[1] ?? ''] as const),
    );
    assert.deepEqual(
      named.filter(([, target]) => !exists(target)),
      [],
    );
  });

  test(`README.md has at most ${README_LINES} lines`, () => {
    assert.ok(lineCount(read('README.md')) <= README_LINES);
  });

  test(`a decision record has at most ${ADR_LINES} lines and says its status`, () => {
    const records = documents.filter((path) => /^docs\/adr\/\d{4}-/.test(path));
    assert.deepEqual(
      records.filter((path) => lineCount(read(path)) > ADR_LINES || !/^Status: /m.test(read(path))),
      [],
    );
  });
});

describe('tracked files', () => {
  test('hold no path of one developer’s machine', () => {
    assert.deepEqual(linesWith(/(?<![\w.])\/(work|root)\/[a-z]/i, isHere), []);
  });

  test('hold nothing left to do', () => {
    assert.deepEqual(linesWith(/\b(TODO|FIXME|HACK)\b/, isHere), []);
  });

  test('name no mirror of a package registry', () => {
    assert.ok(!/"resolved"/.test(read('package-lock.json')));
  });
});
