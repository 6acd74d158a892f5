import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  describeSpan,
  FieldError,
  Fields,
  formatMoment,
  matchesLabels,
  parseBytes,
  parseMoment,
  readCreate,
  readExecStart,
  readFilters,
  readUpdate,
  refuseVersion,
} from './index.ts';

describe('fields', () => {
  test('a wrong type is refused with the path of the field', () => {
    const body = { HostConfig: { Mounts: [{ Type: 'bind', ReadOnly: 'yes' }] } };
    assert.throws(() => readCreate(body), {
      name: 'FieldError',
      message: 'invalid HostConfig.Mounts[0].ReadOnly: a string is not true or false',
    });
    assert.throws(() => readCreate({ Image: 5 }), { message: 'invalid Image: a number is not a string' });
    assert.throws(() => readCreate({ Env: ['A=1', 2] }), { field: 'Env[1]' });
    assert.throws(() => readCreate([]), { message: 'invalid request body: an array is not a JSON object' });
    assert.throws(() => readCreate('x'), FieldError);
  });

  test('null and absent members mean the same, as in Docker', () => {
    const fields = new Fields({ a: null });
    assert.equal(fields.string('a'), undefined);
    assert.equal(fields.strings('b'), undefined);
    assert.deepEqual(readCreate({ Cmd: null, HostConfig: null }).HostConfig.Binds, []);
  });

  test('names of the object prototype are not members', () => {
    assert.equal(new Fields({}).raw('constructor'), undefined);
    assert.equal(new Fields({}).raw('__proto__'), undefined);
  });

  test('a command may be one string or a list', () => {
    assert.deepEqual(readCreate({ Cmd: 'top' }).Cmd, ['top']);
    assert.deepEqual(readCreate({ Entrypoint: ['sh', '-c'] }).Entrypoint, ['sh', '-c']);
    assert.equal('Cmd' in readCreate({}), false);
  });

  test('zero limits are no limits', () => {
    assert.deepEqual(readUpdate({ Memory: 0, NanoCpus: 5e8, PidsLimit: null, RestartPolicy: { Name: '' } }), {
      NanoCpus: 5e8,
    });
  });

  test('a console size is taken when it is one', () => {
    assert.deepEqual(readExecStart({ ConsoleSize: [24, 80] }).ConsoleSize, { rows: 24, columns: 80 });
    assert.equal(readExecStart({ ConsoleSize: [0, 0] }).ConsoleSize, undefined);
  });
});

describe('filters', () => {
  test('both of Docker’s forms are read', () => {
    assert.deepEqual(readFilters('{"name":["a","b"]}', ['name']).get('name'), ['a', 'b']);
    assert.deepEqual(readFilters('{"name":{"a":true,"b":false}}', ['name']).get('name'), ['a']);
    assert.equal(readFilters(null, []).size, 0);
  });

  test('what is no filter is refused by name', () => {
    assert.throws(() => readFilters('{"bad":["x"]}', ['name']), /invalid filter: 'bad'/);
    for (const text of ['x', '[]', '{"name":5}'])
      assert.throws(() => readFilters(text, ['name']), FieldError);
  });

  test('labels match by key or by key and value', () => {
    assert.equal(matchesLabels(['a', 'b=2'], { a: '1', b: '2' }), true);
    assert.equal(matchesLabels(['b=3'], { b: '2' }), false);
    assert.equal(matchesLabels(['b='], { b: '' }), true);
  });
});

describe('times and sizes', () => {
  test('moments are read in every form that clients use', () => {
    assert.equal(parseMoment('since', '1700000000'), 1_700_000_000_000_000_000n);
    assert.equal(parseMoment('since', '1700000000.000000001'), 1_700_000_000_000_000_001n);
    assert.equal(parseMoment('since', '2023-11-14T22:13:20.123456789Z'), 1_700_000_000_123_456_789n);
    assert.equal(parseMoment('since', '1h', 3_600_000), 0n);
    assert.equal(parseMoment('since', ''), undefined);
    assert.throws(() => parseMoment('since', 'yesterday'), /'yesterday' is not a time/);
  });

  test('a moment is written with nanoseconds', () => {
    assert.equal(formatMoment(1_700_000_000_000_000_001n), '2023-11-14T22:13:20.000000001Z');
  });

  test('spans read as Docker writes them', () => {
    const minute = 60_000;
    assert.equal(describeSpan(500), 'Less than a second');
    assert.equal(describeSpan(45_000), '45 seconds');
    assert.equal(describeSpan(minute), 'About a minute');
    assert.equal(describeSpan(61 * minute), 'About an hour');
    assert.equal(describeSpan(47 * 60 * minute), '47 hours');
    assert.equal(describeSpan(72 * 60 * minute), '3 days');
  });

  test('sizes are powers of 1024', () => {
    assert.equal(parseBytes('max-size', '10m'), 10 << 20);
    assert.equal(parseBytes('max-size', '1.5KiB'), 1536);
    assert.equal(parseBytes('max-size', '7'), 7);
    assert.equal(parseBytes('max-size', '7b'), 7);
    assert.throws(() => parseBytes('max-size', '10x'), /invalid max-size/);
  });

  test('versions outside the range are refused in Docker’s words', () => {
    assert.match(refuseVersion('1.99') ?? '', /^client version 1\.99 is too new\. Maximum supported/);
    assert.match(refuseVersion('1.5') ?? '', /is too old\. Minimum supported API version is 1\.24/);
    assert.equal(refuseVersion('1.41'), undefined);
  });
});
