import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventLog } from './events.ts';

const event = (action: string) => ({ type: 'daemon' as const, action, actor: { id: '', attributes: {} } });

async function collect(events: AsyncIterable<{ action: string }>): Promise<string[]> {
  const found: string[] = [];
  for await (const { action } of events) found.push(action);
  return found;
}

test('a subscription hears what happens from its call on, in order, each at its own time', async () => {
  const log = new EventLog();
  log.publish(event('before'));
  const subscription = log.subscribe({});
  for (const action of ['a', 'b', 'c']) log.publish(event(action));
  log.close();
  let last = 0n;
  const heard: string[] = [];
  for await (const { action, timeNano } of subscription) {
    assert.ok(timeNano > last);
    last = timeNano;
    heard.push(action);
  }
  assert.deepEqual(heard, ['a', 'b', 'c']);
});

test('the past is told from the time asked for, as far as it is kept', async () => {
  const log = new EventLog();
  for (let count = 0; count < 20_000; count++) log.publish(event(String(count)));
  const found = await collect(
    log.subscribe({ sinceNano: 0n, untilNano: 2n ** 62n, signal: AbortSignal.abort() }),
  );
  assert.deepEqual([found.length, found.at(-1)], [4096, '19999']);
});

test('a subscription ends at its time or when given up, and then costs nothing', async () => {
  const log = new EventLog();
  const soon = BigInt(Date.now() + 20) * 1_000_000n;
  const timed = collect(log.subscribe({ untilNano: soon }));
  const patience = new AbortController();
  const given = collect(log.subscribe({ signal: patience.signal }));
  log.publish(event('a'));
  patience.abort();
  assert.deepEqual(await given, ['a']);
  // Its timer does not keep a process alive; something else does in a daemon.
  const alive = setTimeout(() => {}, 10_000);
  assert.deepEqual(await timed, ['a']);
  clearTimeout(alive);
});

test('a reader that never reads is cut off instead of filling the memory', async () => {
  const log = new EventLog();
  const slow = log.subscribe({});
  for (let count = 0; count < 20_000; count++) log.publish(event(String(count)));
  await assert.rejects(collect(slow), { code: 'exhausted' });
});
