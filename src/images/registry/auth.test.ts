import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseChallenges } from './auth.ts';

test('challenges are read with their parameters, quoted or not', () => {
  assert.deepEqual(
    parseChallenges('Bearer realm="https://a.example/token?x=1,2",service="a b",scope=repository:x:pull'),
    [
      {
        scheme: 'bearer',
        parameters: { realm: 'https://a.example/token?x=1,2', service: 'a b', scope: 'repository:x:pull' },
      },
    ],
  );
  assert.deepEqual(parseChallenges('Basic realm="Registry \\"x\\"", Bearer realm="r"'), [
    { scheme: 'basic', parameters: { realm: 'Registry "x"' } },
    { scheme: 'bearer', parameters: { realm: 'r' } },
  ]);
  assert.deepEqual(parseChallenges(''), []);
});
