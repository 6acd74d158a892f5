import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_DETACH_KEYS, DetachFilter, parseDetachKeys } from './detach.ts';

test('detach keys are letters and control letters', () => {
  assert.deepEqual([...parseDetachKeys(DEFAULT_DETACH_KEYS)], [16, 17]);
  assert.deepEqual([...parseDetachKeys('ctrl-a,d')], [1, 100]);
  assert.throws(() => parseDetachKeys('ctrl-pq'), { exitCode: 125 });
});

test('the sequence is found across chunks and what precedes it passes', () => {
  const filter = new DetachFilter(Buffer.from([16, 17]));
  assert.deepEqual(filter.push(Buffer.from([97, 16])), { pass: Buffer.from([97]), detached: false });
  assert.deepEqual(filter.push(Buffer.from([17])), { pass: Buffer.from([]), detached: true });
});

test('the beginning of a sequence passes once it proves to be none', () => {
  const filter = new DetachFilter(Buffer.from([16, 17]));
  assert.deepEqual(filter.push(Buffer.from([16, 16, 98])).pass, Buffer.from([16, 16, 98]));
  assert.equal(filter.push(Buffer.from([16])).detached, false);
  assert.equal(filter.push(Buffer.from([16, 17])).detached, true);
});
