import assert from 'node:assert/strict';
import { appendFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { LogEntry } from '../api.ts';
import { parseTimeNano, type ReadLogOptions, readLog } from './index.ts';

async function tempLog(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'berth-logs-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return join(dir, 'log.json');
}

const BASE = Date.parse('2026-01-02T03:04:05Z');
const timeOf = (number: number) => new Date(BASE + number * 1000).toISOString();
const nanoOf = (number: number) => BigInt(BASE + number * 1000) * 1_000_000n;

function entries(from: number, to: number, stream = 'stdout'): string {
  let text = '';
  for (let number = from; number < to; number++)
    text += `${JSON.stringify({ log: `line ${number}\n`, stream, time: timeOf(number) })}\n`;
  return text;
}

async function lines(path: string, options: Partial<ReadLogOptions> = {}): Promise<number[]> {
  const found: number[] = [];
  for await (const entry of readLog(path, { stdout: true, stderr: true, ...options }))
    found.push(number(entry));
  return found;
}

const number = (entry: LogEntry) => Number(entry.line.slice(5));
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);

test('a log that was never written is empty', async (t) => {
  assert.deepEqual(await lines(await tempLog(t)), []);
});

test('rotated files are read from the oldest on', async (t) => {
  const path = await tempLog(t);
  await writeFile(`${path}.2`, entries(0, 3));
  await writeFile(`${path}.1`, entries(3, 5));
  await writeFile(path, entries(5, 9));
  assert.deepEqual(await lines(path), range(0, 9));
});

test('the tail counts over rotated files and reads a large file only at its end', async (t) => {
  const path = await tempLog(t);
  await writeFile(`${path}.1`, entries(0, 10_000));
  await writeFile(path, entries(10_000, 10_004));
  for (const tail of [0, 1, 4, 5, 7000, 10_004, 20_000])
    assert.deepEqual(await lines(path, { tail }), range(Math.max(0, 10_004 - tail), 10_004), `tail ${tail}`);
});

test('streams and times are chosen', async (t) => {
  const path = await tempLog(t);
  await writeFile(path, entries(0, 4) + entries(4, 8, 'stderr'));
  assert.deepEqual(await lines(path, { stdout: false }), range(4, 8));
  assert.deepEqual(await lines(path, { stderr: false }), range(0, 4));
  assert.deepEqual(await lines(path, { since: nanoOf(2), until: nanoOf(5) }), range(2, 6));
});

test('damaged lines are passed over, those around them are not', async (t) => {
  const path = await tempLog(t);
  const torn = `{"log":"li\n[]\nnull\n{"log":5,"time":"x"}\n\n${'x'.repeat(300_000)}\n\0\0\0\n`;
  await writeFile(path, `${entries(0, 2)}${torn}${entries(2, 4)}{"log":"half`);
  assert.deepEqual(await lines(path), range(0, 4));
});

test('half an entry and NULs that a crash left do not cost the entry behind', async (t) => {
  const path = await tempLog(t);
  const half = entries(1, 2).slice(0, 20);
  const nuls = Buffer.alloc(5 << 20).toString();
  await writeFile(
    path,
    `${entries(0, 1)}${half}${entries(1, 2)}\0\0${entries(2, 3)}${half}${nuls}${entries(3, 5)}`,
  );
  assert.deepEqual(await lines(path), range(0, 5));
  assert.deepEqual(await lines(path, { tail: 2 }), range(3, 5));
});

test('a line longer than the buffers comes whole', async (t) => {
  const path = await tempLog(t);
  const log = 'é'.repeat(700_000);
  await writeFile(path, `${JSON.stringify({ log, stream: 'stdout', time: timeOf(0) })}\n${entries(1, 2)}`);
  const found: LogEntry[] = [];
  for await (const entry of readLog(path, { stdout: true, stderr: true, tail: 2 })) found.push(entry);
  assert.equal(found.length, 2);
  assert.equal(found[0]?.line, log);
});

test('a follower sees what is written, through rotations, up to the end', async (t) => {
  const path = await tempLog(t);
  const ended = new AbortController();
  const seen: number[] = [];
  let reached = Promise.withResolvers<void>();
  let goal = 3;
  const reading = (async () => {
    for await (const entry of readLog(path, { stdout: true, stderr: true, ended: ended.signal })) {
      seen.push(number(entry));
      if (seen.length === goal) reached.resolve();
    }
  })();
  const until = async (count: number, write: () => Promise<void>) => {
    goal = count;
    reached = Promise.withResolvers();
    await write();
    await reached.promise;
  };
  await until(3, () => writeFile(path, entries(0, 3)));
  await until(4, async () => {
    const half = entries(3, 4);
    await appendFile(path, half.slice(0, 20));
    await appendFile(path, half.slice(20));
  });
  await until(9, async () => {
    await appendFile(path, entries(4, 5));
    await rename(path, `${path}.1`);
    await writeFile(path, entries(5, 7));
    await rename(`${path}.1`, `${path}.2`);
    await rename(path, `${path}.1`);
    await writeFile(path, entries(7, 9));
  });
  await appendFile(path, entries(9, 12));
  ended.abort();
  await reading;
  assert.deepEqual(seen, range(0, 12));
});

test('however fast names move on while a log is opened, its lines come in order and without a gap', async (t) => {
  const path = await tempLog(t);
  const nameOf = (age: number) => (age === 0 ? path : `${path}.${age}`);
  let rotating = true;
  const rotations = (async () => {
    for (let count = 0; rotating; count++) {
      for (let age = Math.min(count, 5); age > 0; age--) await rename(nameOf(age - 1), nameOf(age));
      await writeFile(path, entries(count * 2, count * 2 + 2));
    }
  })();
  try {
    for (let run = 0; run < 200; run++) {
      const found = await lines(path, run % 2 === 0 ? {} : { tail: 5 });
      assert.deepEqual(found, range(found[0] ?? 0, (found[0] ?? 0) + found.length));
    }
  } finally {
    rotating = false;
    await rotations;
  }
});

test('a follower that gives up, or whose time is over, ends', async (t) => {
  const path = await tempLog(t);
  await writeFile(path, entries(0, 1));
  const ended = new AbortController().signal;
  const giveUp = new AbortController();
  setImmediate(() => giveUp.abort());
  assert.ok((await lines(path, { ended, signal: giveUp.signal })).length <= 1);
  const soon = BigInt(Date.now() + 30) * 1_000_000n;
  assert.deepEqual(await lines(path, { ended, until: soon }), [0]);
});

test('a follower ends at its time, between whichever ticks of the clocks that is', {
  timeout: 20_000,
}, async (t) => {
  const path = await tempLog(t);
  await writeFile(path, entries(0, 1));
  const { signal: ended } = new AbortController();
  for (let run = 0; run < 100; run++) {
    const until = BigInt(Date.now() + 5) * 1_000_000n;
    assert.deepEqual(await lines(path, { ended, until }), [0]);
  }
});

test('times are read to the nanosecond, with or without a zone offset', () => {
  assert.equal(parseTimeNano('1970-01-01T00:00:01.000000002Z'), 1_000_000_002n);
  assert.equal(parseTimeNano('1970-01-01T01:00:00.5+01:00'), 500_000_000n);
  assert.equal(parseTimeNano('yesterday'), undefined);
});
