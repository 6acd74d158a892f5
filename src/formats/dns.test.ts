import assert from 'node:assert/strict';
import { test } from 'node:test';
import { a, answerBytes, optBytes, queryBytes, TYPES } from '../../test/fixtures/dns.ts';
import { capTtls, encodeName, isReplyTo, parseDns, truncateMessage } from './dns.ts';

test('a question is read with its name in lower case and odd bytes escaped', () => {
  const { question } = parseDns(queryBytes('WWW.Ex ample.com', TYPES.AAAA));
  assert.deepEqual([question?.name, question?.type], ['www.ex\\032ample.com', TYPES.AAAA]);
  const dotted = queryBytes('a-b.c', TYPES.A);
  dotted[14] = '.'.charCodeAt(0);
  assert.equal(parseDns(dotted).question?.name, 'a\\.b.c');
  assert.equal(parseDns(queryBytes('', TYPES.A)).question?.name, '');
});

test('names that are too long, cut off or point somewhere are refused', () => {
  const label = 'x'.repeat(63);
  assert.ok(parseDns(queryBytes([label, label, label, 'x'.repeat(61)].join('.'), TYPES.A)).question);
  assert.throws(
    () => parseDns(queryBytes([label, label, label, 'x'.repeat(62)].join('.'), TYPES.A)),
    RangeError,
  );
  const pointing = queryBytes('abc', TYPES.A);
  pointing[12] = 0xc0;
  assert.throws(() => parseDns(pointing), RangeError);
  const whole = answerBytes(queryBytes('example.com', TYPES.A), { records: [a('192.0.2.1')] });
  for (let length = 0; length < whole.length; length++)
    assert.throws(() => parseDns(whole.subarray(0, length)), RangeError);
});

test('a message is cut between records and keeps its options', () => {
  const records = Array.from({ length: 100 }, (_, index) => a(`192.0.2.${index}`));
  const bytes = answerBytes(queryBytes('example.com', TYPES.A), { records, opt: optBytes(1232) });
  const cut = truncateMessage(bytes, parseDns(bytes), 512);
  const message = parseDns(cut);
  assert.ok(cut.length <= 512 && cut.length > 480 && message.isTruncated);
  assert.equal(message.additionals[0]?.type, TYPES.OPT);
  assert.deepEqual(truncateMessage(bytes, parseDns(bytes), 4096), bytes);
});

test('what is whole of a message that its server cut in a record counts', () => {
  const records = [a('192.0.2.1'), a('192.0.2.2')];
  const bytes = answerBytes(queryBytes('example.com', TYPES.A), { records, truncated: true });
  assert.equal(parseDns(bytes.subarray(0, -2)).answers.length, 1);
});

test('times to live are capped, the flags that stand in their place in OPT are not', () => {
  const bytes = answerBytes(queryBytes('example.com', TYPES.A), {
    records: [a('192.0.2.1', 90_000), a('192.0.2.2', 5)],
    opt: optBytes(1232, 255),
  });
  const capped = parseDns(capTtls(bytes, parseDns(bytes), 3600));
  assert.deepEqual(
    [...capped.answers, ...capped.additionals].map(({ ttl }) => ttl),
    [3600, 5, 0xff0000],
  );
});

test('a reply belongs to its question, letters of either case, or reports an error without one', () => {
  const query = queryBytes('example.com', TYPES.A);
  const asked = parseDns(query);
  const told = (name: string, type: number) => parseDns(answerBytes(queryBytes(name, type), {}));
  assert.ok(isReplyTo(told('EXAMPLE.com', TYPES.A), asked));
  assert.ok(!isReplyTo(told('example.org', TYPES.A), asked));
  assert.ok(!isReplyTo(told('example.com', TYPES.MX), asked));
  assert.ok(!isReplyTo(asked, asked));
  const bare = Buffer.alloc(12);
  bare.writeUInt16BE(0x8001, 2);
  assert.ok(isReplyTo(parseDns(bare), asked));
});

test('a name that DNS cannot carry has no bytes', () => {
  assert.equal(encodeName('web.shop')?.toString('latin1'), '\x03web\x04shop\0');
  for (const name of ['', 'a..b', 'x'.repeat(64), Array(64).fill('abc').join('.')])
    assert.equal(encodeName(name), undefined);
});
