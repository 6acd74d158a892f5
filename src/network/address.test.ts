import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  contains,
  familyOf,
  formatAddress,
  formatSubnet,
  lastOf,
  overlap,
  parseAddress,
  parseSubnet,
} from './address.ts';

test('addresses are read in every form and written in the shortest', () => {
  const forms = {
    '10.208.0.1': '10.208.0.1',
    '255.255.255.255': '255.255.255.255',
    '::': '::',
    '::1': '::1',
    'fd00:0:0:0:0:0:0:2': 'fd00::2',
    'FE80::0:1': 'fe80::1',
    '2001:db8:0:0:1:0:0:1': '2001:db8::1:0:0:1',
    '2001:db8:0:1:1:1:1:1': '2001:db8:0:1:1:1:1:1',
    '1:0:0:2:0:0:0:3': '1:0:0:2::3',
    '1::': '1::',
    '::ffff:10.0.0.7': '::ffff:a00:7',
  };
  for (const [text, short] of Object.entries(forms))
    assert.equal(formatAddress(parseAddress(text), familyOf(text) ?? 4), short, text);
  for (const bad of ['', '10.0.0', '10.0.0.256', 'fe80::1%eth0', '1:2', 'web'])
    assert.throws(() => parseAddress(bad), /invalid address/, bad);
});

test('a subnet has no host bits, a prefix that fits, and an end', () => {
  assert.equal(formatSubnet(parseSubnet('10.208.0.0/20')), '10.208.0.0/20');
  assert.equal(formatAddress(lastOf(parseSubnet('10.208.0.0/20')), 4), '10.208.15.255');
  assert.equal(formatAddress(lastOf(parseSubnet('fd00::/126')), 6), 'fd00::3');
  assert.equal(lastOf(parseSubnet('1.2.3.4/32')), parseAddress('1.2.3.4'));
  assert.throws(() => parseSubnet('10.208.0.1/20'), /did you mean 10.208.0.0\/20/);
  for (const bad of ['10.0.0.0', '10.0.0.0/33', 'fd00::/129', '10.0.0.0/8/8', '/8', '10.0.0.0/x'])
    assert.throws(() => parseSubnet(bad), /invalid subnet/, bad);
});

test('subnets contain addresses and overlap one another', () => {
  const net = parseSubnet('10.208.16.0/20');
  assert.ok(contains(net, parseAddress('10.208.31.255')));
  assert.ok(!contains(net, parseAddress('10.208.32.0')));
  const pairs: [string, string, boolean][] = [
    ['10.0.0.0/8', '10.208.0.0/20', true],
    ['10.208.0.0/20', '10.0.0.0/8', true],
    ['10.208.0.0/20', '10.208.16.0/20', false],
    ['0.0.0.0/0', '10.208.16.0/20', true],
    ['fd00::/64', 'fd00:0:0:1::/64', false],
    ['::/0', '10.0.0.0/8', false],
  ];
  for (const [one, other, expected] of pairs)
    assert.equal(overlap(parseSubnet(one), parseSubnet(other)), expected, `${one} ${other}`);
});
