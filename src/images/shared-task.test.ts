import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isBerthError } from '../core/index.ts';
import { SharedTasks } from './shared-task.ts';

test('callers of one key share the work, its progress and its result', async () => {
  const tasks = new SharedTasks<string, number>();
  const gate = Promise.withResolvers<void>();
  let starts = 0;
  const start = async (emit: (progress: number) => void) => {
    starts += 1;
    emit(1);
    await gate.promise;
    emit(2);
    return 'done';
  };
  const seen: number[][] = [[], []];
  const first = tasks.run('key', { onProgress: (step) => seen[0]?.push(step) }, start);
  await Promise.resolve();
  await Promise.resolve();
  const second = tasks.run('key', { onProgress: (step) => seen[1]?.push(step) }, start);
  gate.resolve();
  assert.deepEqual(await Promise.all([first, second]), ['done', 'done']);
  assert.equal(starts, 1);
  assert.deepEqual(seen, [
    [1, 2],
    [1, 2],
  ]);
});

test('the work goes on while someone wants it, and is aborted when the last one leaves', async () => {
  const tasks = new SharedTasks<string, never>();
  const events: string[] = [];
  const start = (_emit: unknown, signal: AbortSignal) =>
    new Promise<string>((_, reject) => {
      events.push('start');
      signal.addEventListener('abort', () => {
        events.push('abort');
        setImmediate(() => {
          events.push('clean');
          reject(new Error('aborted'));
        });
      });
    });
  const one = new AbortController();
  const two = new AbortController();
  const first = tasks.run('key', { signal: one.signal }, start);
  const second = tasks.run('key', { signal: two.signal }, start);
  one.abort();
  await assert.rejects(first, (error) => isBerthError(error, 'cancelled'));
  assert.deepEqual(events, ['start']);
  const left = assert.rejects(second, (error) => isBerthError(error, 'cancelled'));
  two.abort();
  await new Promise((resolve) => setImmediate(resolve));
  const third = tasks.run('key', {}, async () => {
    events.push('again');
    return 'ok';
  });
  await left;
  assert.equal(await third, 'ok');
  assert.deepEqual(events, ['start', 'abort', 'clean', 'again']);
});
