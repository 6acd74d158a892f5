// Streams of the main process: attach, stdin, terminals, the log.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { isBerthError } from '../../src/core/index.ts';
import { tarOf } from '../fixtures/tar.ts';
import { collect, until } from './fixture.ts';
import type { Case } from './instance-suite.ts';

const ALL = { stdin: true, stdout: true, stderr: true };

interface LogLine {
  readonly log: string;
  readonly stream: string;
  readonly time: string;
}

async function readLog(dir: string, name = 'log.json'): Promise<LogLine[]> {
  const text = await readFile(join(dir, name), 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as LogLine);
}

export const stdioCases: readonly Case[] = [
  [
    'delivers output from the first byte to whoever attached before the start',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['sh', '-c', 'echo first; echo last']);
      const ios = [await instance.attach(ALL), await instance.attach({ ...ALL, stdout: false })];
      const outputs = ios.map((io) => collect(io));
      await instance.start();
      const [both, errorsOnly] = await Promise.all(outputs);
      assert.equal(both?.stdout, 'first\nlast\n');
      assert.equal(errorsOnly?.stdout, '');
      assert.equal((await ios[0]?.exit)?.code, 0);
    },
  ],
  [
    'delivers output from now on to whoever attaches later',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['sh', '-c', 'echo early; read x; echo got $x'], {
        process: { stdin: true },
      });
      const first = await instance.attach(ALL);
      const early = until(first, (text) => text.includes('early'));
      await instance.start();
      await early;
      const later = await instance.attach(ALL);
      const output = collect(later);
      later.input.write('word\n');
      assert.equal((await output).stdout, 'got word\n');
    },
  ],
  [
    'passes input on, also what came before the start, and its end',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['cat'], { process: { stdin: true } });
      const io = await instance.attach(ALL);
      const output = collect(io);
      io.input.write('before\n');
      await instance.start();
      io.input.end('after\n');
      assert.equal((await output).stdout, 'before\nafter\n');
      assert.equal((await instance.wait()).code, 0);
    },
  ],
  [
    'serves files while clients wait for the start, and forgets those that leave',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['sh', '-c', 'cat /tmp/copied; cat'], {
        process: { stdin: true },
      });
      const io = await instance.attach(ALL);
      const leaver = await instance.attach(ALL);
      const output = collect(io);
      io.input.write('before, ');
      const tar = Readable.from([tarOf([{ name: 'copied', content: 'copied, ' }])]);
      await instance.files?.write('/tmp', tar, { copyUidGid: false, noOverwriteDirNonDir: true });
      assert.equal((await instance.files?.stat('/tmp/copied'))?.sizeBytes, 8);
      const later = await instance.attach({ ...ALL, stdin: false });
      const more = collect(later);
      leaver.input.write('never sent, or sent before it left; ');
      leaver.close();
      await assert.rejects(leaver.exit);
      await instance.start();
      io.input.end('after');
      const { stdout } = await output;
      assert.match(stdout, /^copied, .*before, .*after$/);
      assert.equal((await more).stdout, stdout);
      assert.equal((await io.exit).code, 0);
    },
  ],
  [
    'ends the streams of clients that wait for the start of what is removed',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['cat'], { process: { stdin: true } });
      const io = await instance.attach(ALL);
      const output = collect(io);
      await instance.remove();
      assert.deepEqual(await output, { stdout: '', stderr: '' });
      await assert.rejects(io.exit);
      await assert.rejects(instance.attach(ALL), (error) => isBerthError(error, 'invalid-state'));
      bench.disown(instance);
    },
  ],
  [
    'passes large input and output through unharmed',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['cat'], {
        process: { stdin: true },
        log: { driver: 'none', maxFiles: 1 },
      });
      const io = await instance.attach(ALL);
      const output = collect(io);
      await instance.start();
      const block = Buffer.alloc(1 << 20, 'berth ');
      for (let count = 0; count < 4; count++)
        if (!io.input.write(block)) await new Promise((resolve) => io.input.once('drain', resolve));
      io.input.end();
      const { stdout } = await output;
      assert.equal(stdout.length, 4 << 20);
      assert.equal(stdout, block.toString().repeat(4));
    },
  ],
  [
    'reads end of file without stdin',
    async ({ bench, driver }) => {
      const { status, stdout } = await bench.run(driver, ['cat']);
      assert.deepEqual([status.code, stdout], [0, '']);
    },
  ],
  [
    'gives a terminal with the size asked for, and changes it',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['sh', '-c', 'stty size; tty; read x; stty size'], {
        process: { tty: true, stdin: true },
      });
      const io = await instance.attach(ALL);
      const output = collect(io, true);
      const first = until(io, (text) => text.includes('/dev/'));
      await instance.start({ size: { rows: 33, columns: 77 } });
      await first;
      await instance.resize({ rows: 44, columns: 99 });
      io.input.write('go\n');
      const { stdout } = await output;
      assert.match(stdout, /^33 77\r\n\/dev\//);
      assert.match(stdout, /44 99\r\n$/);
    },
  ],
  [
    'holds the workload back when a reader is slow, and loses nothing',
    async ({ bench, driver }) => {
      const megabytes = 6;
      const instance = await bench.create(
        driver,
        ['sh', '-c', `dd if=/dev/zero bs=1M count=${megabytes} 2>/dev/null; echo done >&2`],
        { log: { driver: 'none', maxFiles: 1 } },
      );
      const slow = await instance.attach({ stdin: false, stdout: true, stderr: false });
      const errors = await instance.attach({ stdin: false, stdout: false, stderr: true });
      const done = collect(errors);
      await instance.start();
      await new Promise((resolve) => slow.output.once('readable', resolve));
      assert.equal((await instance.state()).state, 'running');
      const { stdout } = await collect(slow);
      assert.equal(stdout.length, megabytes << 20);
      assert.equal((await done).stderr, 'done\n');
    },
  ],
  [
    'goes on when a client lets go',
    async ({ bench, driver }) => {
      const instance = await bench.create(driver, ['sh', '-c', 'echo one; read x; echo two; exit 4'], {
        process: { stdin: true },
      });
      const first = await instance.attach(ALL);
      const one = until(first, (text) => text.includes('one'));
      await instance.start();
      await one;
      first.close();
      const second = await instance.attach(ALL);
      second.input.write('x\n');
      assert.equal((await instance.wait()).code, 4);
    },
  ],
  [
    'logs both streams, line by line, as Docker does',
    async ({ bench, driver }) => {
      const spec = await bench.spec(['sh', '-c', 'echo "a <b> \\"c\\""; echo err >&2; printf unfinished']);
      const instance = bench.own(await driver.create(spec));
      await instance.start();
      await instance.wait();
      const lines = await readLog(spec.dir);
      const byStream = (stream: string) =>
        lines.filter((line) => line.stream === stream).map((line) => line.log);
      assert.deepEqual(byStream('stdout'), ['a <b> "c"\n', 'unfinished']);
      assert.deepEqual(byStream('stderr'), ['err\n']);
      assert.match(lines[0]?.time ?? '', /^\d{4}-\d\d-\d\dT[\d:]+(\.\d{1,9})?Z$/);
    },
  ],
  [
    'cuts long lines in the log into pieces of 16 KiB',
    async ({ bench, driver }) => {
      const spec = await bench.spec(['sh', '-c', 'head -c 40000 /dev/zero | tr "\\0" x; echo']);
      const instance = bench.own(await driver.create(spec));
      await instance.start();
      await instance.wait();
      const lengths = (await readLog(spec.dir)).map((line) => line.log.length);
      assert.deepEqual(lengths, [16384, 16384, 40001 - 2 * 16384]);
    },
  ],
  [
    'rotates the log and keeps as many files as asked for',
    async ({ bench, driver }) => {
      const log = { driver: 'json-file', maxBytes: 4096, maxFiles: 3 } as const;
      const spec = await bench.spec(['seq', '1', '500'], { log });
      const instance = bench.own(await driver.create(spec));
      await instance.start();
      await instance.wait();
      const files = await Promise.all(
        ['log.json.2', 'log.json.1', 'log.json'].map((name) => readLog(spec.dir, name)),
      );
      const numbers = files.flat().map((line) => Number(line.log));
      assert.equal(numbers.at(-1), 500);
      assert.ok(numbers.every((number, at) => at === 0 || number === (numbers[at - 1] ?? 0) + 1));
      await assert.rejects(readLog(spec.dir, 'log.json.3'));
    },
  ],
];
