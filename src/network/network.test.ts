import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isBerthError } from '../core/index.ts';
import { resolveNetwork } from './index.ts';

test('no network, default and none mean loopback only, in either isolation', () => {
  for (const mode of ['', 'default', 'none'])
    for (const isolation of ['container', 'vm'] as const)
      assert.equal(resolveNetwork(mode, isolation), 'private');
});

test('a container may share the network of the host, a VM is told why it cannot', () => {
  assert.equal(resolveNetwork('host', 'container'), 'host');
  assert.throws(
    () => resolveNetwork('host', 'vm'),
    (error) => isBerthError(error, 'unsupported') && error.message.includes('--network none'),
  );
});

test('an unknown network is named, a known kind that is not there yet says what is', () => {
  assert.throws(
    () => resolveNetwork('shop', 'container'),
    (error) => isBerthError(error, 'not-found') && error.message === 'network shop not found',
  );
  for (const mode of ['bridge', 'container:web'])
    assert.throws(
      () => resolveNetwork(mode, 'container'),
      (error) => isBerthError(error, 'unsupported') && error.message.includes(mode),
    );
});
