import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from './registry.ts';
import type { Workload } from './workload.ts';

function workload(id: string, name: string, volume = ''): Workload {
  const mounts = volume === '' ? [] : [{ type: 'volume', name: volume }];
  return { id, name, record: { imageId: `image of ${name}`, mounts } } as unknown as Workload;
}

function filled(): Registry {
  const registry = new Registry();
  for (const entry of [
    workload(`ab${'0'.repeat(62)}`, 'web', 'data'),
    workload(`ac${'0'.repeat(62)}`, 'ab'),
  ]) {
    registry.reserveName(entry.name, entry.id);
    registry.add(entry);
  }
  return registry;
}

test('a reference is an id, a name with or without its slash, or a prefix of one id; names come first', () => {
  const registry = filled();
  assert.equal(registry.find('web').name, 'web');
  assert.equal(registry.find('/web').name, 'web');
  assert.equal(registry.find(`ab${'0'.repeat(62)}`).name, 'web');
  assert.equal(registry.find('ac0').name, 'ab');
  assert.equal(registry.find('ab').name, 'ab');
  assert.throws(() => registry.find('a'), {
    code: 'invalid-argument',
    message: 'Multiple IDs found with provided prefix: a',
  });
  for (const reference of ['', '/', 'zz', 'WEB'])
    assert.throws(() => registry.find(reference), { code: 'not-found' });
});

test('what a workload that is being made will use counts as used until it is given up', () => {
  const registry = filled();
  const reservation = { name: 'new', imageId: 'image of web', volumes: ['data', 'logs'] };
  {
    using _ = registry.reserve('ad', reservation);
    assert.deepEqual(registry.usersOf('data'), [`ab${'0'.repeat(62)}`, 'ad']);
    assert.deepEqual(registry.usersOf('logs'), ['ad']);
    assert.deepEqual(registry.imagesInUse().get('image of web'), ['web', 'new']);
  }
  assert.deepEqual(registry.usersOf('logs'), []);
  assert.deepEqual(registry.imagesInUse().get('image of web'), ['web']);
});
