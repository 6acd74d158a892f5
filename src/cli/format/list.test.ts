import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorText } from '../errors.ts';
import { ellipsis, labelText, renderList, renderOne, shortId } from './list.ts';
import { alignColumns } from './table.ts';

const rows = [
  { ID: 'abc', Names: 'a-rather-long-name', Label: (key: unknown) => `<${key}>` },
  { ID: 'def', Names: 'b', Label: () => '' },
];
const headings = { ID: 'CONTAINER ID', Names: 'NAMES' };
const show = (format?: string) => renderList(rows, { headings, table: ['Names', 'ID'], format });

test('the default is a table with a heading and aligned columns', () => {
  const expected = 'NAMES                CONTAINER ID\na-rather-long-name   abc\nb                    def\n';
  assert.equal(show(), expected);
  assert.equal(show('table'), expected);
});

test('a table may have columns of its own', () => {
  assert.equal(show('table {{.ID}}\\t{{.Label "x"}}'), 'CONTAINER ID   x\nabc            <x>\ndef\n');
});

test('a template makes one line a row, without a heading', () => {
  assert.equal(show('{{.ID}}={{.Names}}'), 'abc=a-rather-long-name\ndef=b\n');
});

test('json is one object a line', () => {
  assert.equal(show('json'), '{"ID":"abc","Names":"a-rather-long-name"}\n{"ID":"def","Names":"b"}\n');
  assert.equal(show('{{json .}}'), show('json'));
});

test('a wrong field is refused with the fields there are', () => {
  assert.throws(() => show('{{.Nmaes}}'), { exitCode: 1, message: /no field \.Nmaes; there are ID, Names/ });
});

test('a single value is shown by a template or as JSON', () => {
  assert.equal(renderOne({ A: { B: 1 } }, '{{.A.B}}'), '1');
  assert.equal(renderOne({ A: 1 }, 'json'), '{"A":1}');
});

test('wide characters take two columns', () => {
  assert.equal(
    alignColumns([
      ['日本', 'x'],
      ['abcdefghij', 'y'],
    ]),
    '日本         x\nabcdefghij   y\n',
  );
});

test('cells are shortened unless they are wanted whole', () => {
  assert.equal(ellipsis('abcdef', 4), 'abc…');
  assert.equal(ellipsis('abcdef', 4, true), 'abcdef');
  assert.equal(shortId(`sha256:${'a'.repeat(64)}`), 'a'.repeat(12));
  assert.equal(labelText({ b: '2', a: '1' }), 'a=1,b=2');
});

test('what a workload calls itself cannot speak to the terminal', () => {
  const table = alignColumns([
    ['NAMES', 'COMMAND'],
    ['web', '"sh -c \u001b[2J\u009b\u202e"'],
  ]);
  assert.equal(table.split('\n')[1], 'web       "sh -c \\x1b[2J\\u009b\\u202e"');
  assert.equal(errorText(new Error('a\u001b]0;x\u0007\nb')), 'berth: a\\x1b]0;x\\x07\nb');
});
