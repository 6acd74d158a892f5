import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FlagSpecs, parseFlags } from './flags.ts';
import { closest } from './suggest.ts';

const specs = {
  detach: { kind: 'bool', short: 'd', help: '' },
  interactive: { kind: 'bool', short: 'i', help: '' },
  tty: { kind: 'bool', short: 't', help: '' },
  env: { kind: 'list', short: 'e', help: '' },
  name: { kind: 'string', help: '' },
  cpus: { kind: 'float', help: '' },
  count: { kind: 'int', short: 'n', help: '' },
  proxy: { kind: 'bool', default: true, help: '' },
} as const satisfies FlagSpecs;

const parse = (line: string, interspersed = false) => parseFlags(specs, line.split(' '), { interspersed });

test('short flags combine, and the last may take the rest as its value', () => {
  const { flags, args } = parse('-it -eA=B -e C=D -n5 -dn=7 image');
  assert.deepEqual([flags.interactive, flags.tty, flags.detach], [true, true, true]);
  assert.deepEqual(flags.env, ['A=B', 'C=D']);
  assert.equal(flags.count, 7);
  assert.deepEqual(args, ['image']);
});

test('flags end at the first argument unless they may be interspersed', () => {
  assert.deepEqual(parse('--name a image -t --rm').args, ['image', '-t', '--rm']);
  const mixed = parse('image -t more', true);
  assert.deepEqual(mixed.args, ['image', 'more']);
  assert.equal(mixed.flags.tty, true);
});

test('two dashes end flags and one dash is an argument', () => {
  assert.deepEqual(parse('-t -- -i x', true).args, ['-i', 'x']);
  assert.deepEqual(parse('- x').args, ['-', 'x']);
});

test('values may stand after an equals sign and booleans may be switched off', () => {
  const { flags, given } = parse('--name=a=b --cpus=1.5 --proxy=false --tty=true x');
  assert.equal(flags.name, 'a=b');
  assert.equal(flags.cpus, 1.5);
  assert.equal(flags.proxy, false);
  assert.deepEqual([...given], ['name', 'cpus', 'proxy', 'tty']);
  assert.equal(parse('x').flags.proxy, true);
});

const faults: readonly (readonly [string, RegExp])[] = [
  ['--nmae a', /^unknown flag: --nmae\nDid you mean --name\?$/],
  ['--zzz', /^unknown flag: --zzz$/],
  ['-tx a', /^unknown shorthand flag: 'x' in -tx$/],
  ['--name', /^flag needs an argument: --name$/],
  ['-e', /^flag needs an argument: 'e' in -e$/],
  ['--count=x', /invalid argument "x" for "-n, --count" flag: expected a number/],
  ['--count=1.5', /expected a whole number/],
  ['--tty=maybe', /expected true or false/],
];

for (const [line, message] of faults) {
  test(`the faulty flags ${line} are refused`, () => {
    assert.throws(() => parse(line), { name: 'UsageError', exitCode: 125, message });
  });
}

test('names of built-in properties are no flags', () => {
  assert.throws(() => parse('--constructor x'), /unknown flag: --constructor/);
  assert.throws(() => parse('--__proto__ x'), /unknown flag: --__proto__/);
});

test('help may be asked for in both ways', () => {
  assert.equal(parse('--help').help, true);
  assert.equal(parse('-h').help, true);
});

test('only slips of the keyboard are corrected', () => {
  assert.equal(closest('rnu', ['run', 'rm']), 'run');
  assert.equal(closest('insp', ['inspect', 'images']), 'inspect');
  assert.equal(closest('banana', ['run', 'rm']), undefined);
});
