import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { overview } from './overview.ts';
import { commandReference } from './reference.ts';
import { commands, groups, namesOf, resolve } from './registry.ts';
import { VERSION } from './version.ts';

const repository = join(import.meta.dirname, '../..');

test('every command loads, says the same of itself as the registry, and has an example', async () => {
  const entries = [
    ...Object.entries(commands),
    ...Object.values(groups).flatMap((group) => Object.entries(group.commands)),
  ];
  for (const [name, entry] of entries) {
    const { command } = await entry.load();
    assert.equal(command.summary, entry.summary, name);
    assert(command.examples.length > 0, `${name} has no example`);
  }
});

test('no two flags of a command share a letter', async () => {
  for (const [name, entry] of Object.entries(commands)) {
    const letters = Object.values((await entry.load()).command.flags).flatMap(({ short }) => short ?? []);
    assert.equal(new Set(letters).size, letters.length, name);
  }
});

test('docs/cli.md is the current reference (node scripts/cli-docs.ts writes it)', async () => {
  assert.equal(await readFile(join(repository, 'docs/cli.md'), 'utf8'), await commandReference());
});

test('the version is that of package.json', async () => {
  const manifest = JSON.parse(await readFile(join(repository, 'package.json'), 'utf8')) as {
    version: string;
  };
  assert.equal(VERSION, manifest.version);
});

test('aliases and groups lead to the same command', () => {
  const found = ['ps', 'ls', 'container ls', 'container ps'].map((line) => resolve(line.split(' ')));
  for (const item of found) assert.equal(item.kind === 'command' && item.entry, commands['ps']);
  assert.deepEqual(namesOf(commands['ps'] ?? assert.fail()), [
    'berth ps',
    'berth ls',
    'berth list',
    'berth container ls',
  ]);
});

test('names of built-in properties are no commands', () => {
  for (const word of ['constructor', '__proto__', 'toString']) {
    assert.equal(resolve([word]).kind, 'none');
    assert.equal(resolve(['image', word]).kind, 'none');
  }
});

test('a mistyped command is answered with the nearest one', () => {
  const found = resolve(['rnu', 'busybox']);
  assert(found.kind === 'none');
  const { text, exitCode } = overview(found);
  assert.match(text, /Did you mean 'berth run'\?/);
  assert.equal(exitCode, 1);
});
