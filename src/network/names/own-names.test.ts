import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askTcp, askUdp, optBytes, queryBytes, startUpstream, TYPES } from '../../../test/fixtures/dns.ts';
import { openNames } from '../../../test/fixtures/names.ts';
import { isBerthError } from '../../core/index.ts';
import { ednsOf, parseDns, RCODE } from '../../formats/dns.ts';
import { addressBytes, addressText, pointedAddress } from './ip-bytes.ts';

test('a workload is found by name, in either family, whatever the letters’ case', async (t) => {
  const { client, names } = await openNames(t);
  names.set('web', ['10.208.0.2', 'fd00::2']);
  assert.deepEqual(await client.resolve4('WeB', { ttl: true }), [{ address: '10.208.0.2', ttl: 0 }]);
  assert.deepEqual(await client.resolve6('web.'), ['fd00::2']);
});

test('names serve on an IPv6 gateway, too', async (t) => {
  const { client, names } = await openNames(t, { address: '::1' });
  names.set('web', ['10.208.0.2']);
  assert.deepEqual(await client.resolve4('web'), ['10.208.0.2']);
});

test('a name that appears or moves is found so by the next question', async (t) => {
  const { client, names } = await openNames(t);
  await assert.rejects(client.resolve4('web'), { code: 'ESERVFAIL' });
  names.set('web', ['10.208.0.2']);
  assert.deepEqual(await client.resolve4('web'), ['10.208.0.2']);
  names.set('web', ['10.208.0.9']);
  assert.deepEqual(await client.resolve4('web'), ['10.208.0.9']);
});

test('a name without an address of the family, or asked for another type, exists and has no data', async (t) => {
  const upstream = await startUpstream(t, () => ({ rcode: RCODE.noSuchName }));
  const { client, names } = await openNames(t, { upstreams: [upstream] });
  names.set('web', ['10.208.0.2']);
  await assert.rejects(client.resolve6('web'), { code: 'ENODATA' });
  await assert.rejects(client.resolveMx('web'), { code: 'ENODATA' });
  assert.equal(upstream.asked.length, 0);
});

test('an address is found by its names, and one of the network that is nobody’s has none', async (t) => {
  const { client, names } = await openNames(t);
  names.set('web', ['10.208.0.2', 'fd00::2']);
  assert.deepEqual(await client.reverse('10.208.0.2'), ['web']);
  assert.deepEqual(await client.reverse('fd00::2'), ['web']);
  await assert.rejects(client.reverse('10.208.0.77'), { code: 'ENOTFOUND' });
});

test('the workloads of a service come in changing order', async (t) => {
  const { client, names } = await openNames(t);
  const addresses = ['10.208.0.2', '10.208.0.3', '10.208.0.4'];
  names.set('web', addresses);
  const first = new Set<string>();
  // The chance that one of them never comes first is below 1e-16.
  for (let count = 0; count < 100; count++) {
    const found = await client.resolve4('web');
    assert.deepEqual([...found].sort(), addresses);
    first.add(found[0] ?? '');
  }
  assert.equal(first.size, 3);
});

test('a long answer is cut to what the client takes, and whole by TCP', async (t) => {
  const { port, names, client } = await openNames(t);
  names.set(
    'many',
    Array.from({ length: 100 }, (_, index) => `10.208.1.${index}`),
  );
  for (const [bytes, query] of [
    [512, queryBytes('many', TYPES.A)],
    [1232, queryBytes('many', TYPES.A, { opt: optBytes(1232) })],
  ] as const) {
    const reply = await askUdp(port, query);
    const message = parseDns(reply);
    assert.ok(message.isTruncated && reply.length <= bytes && message.answers.length > bytes / 20);
    assert.equal(ednsOf(message)?.udpBytes, bytes === 512 ? undefined : 1232);
  }
  assert.equal((await client.resolve4('many')).length, 100);
});

test('several questions on one connection are each answered, also behind the end of the client’s side', async (t) => {
  const { port, names } = await openNames(t);
  names.set('web', ['10.208.0.2']);
  const ids = [1, 2, 3];
  const replies = await askTcp(
    port,
    ids.map((id) => queryBytes('web', TYPES.A, { id })),
  );
  assert.deepEqual(replies.map((reply) => parseDns(reply).id).sort(), ids);
});

test('a released network is no longer served, others are, and one name may mean different workloads', async (t) => {
  const { server, client, names } = await openNames(t);
  names.set('web', ['10.208.0.2']);
  const other = await server.listen('other', '127.0.0.1');
  await server.release('other');
  assert.deepEqual(await client.resolve4('web'), ['10.208.0.2']);
  await assert.rejects(askTcp(other, [queryBytes('web', TYPES.A)]), { code: 'ECONNREFUSED' });
  await server.release('never there');
});

test('an address that the host does not have is named', async (t) => {
  const { server } = await openNames(t);
  await assert.rejects(
    server.listen('far', '192.0.2.1'),
    (error) => isBerthError(error, 'unavailable') && error.message.includes('192.0.2.1'),
  );
});

test('addresses become bytes, text and pointers and back', () => {
  for (const text of ['10.208.0.2', 'fd00::2', '::1', '::', '2001:db8::ff00:42:8329', 'fe80::1'])
    assert.equal(addressText(addressBytes(text) ?? Buffer.alloc(0)), text);
  assert.equal(addressBytes('::ffff:1.2.3.4')?.toString('hex'), '00000000000000000000ffff01020304');
  assert.equal(pointedAddress('4.3.2.1.in-addr.arpa'), '1.2.3.4');
  for (const other of ['3.2.1.in-addr.arpa', '1.ip6.arpa', 'web', '4.3.2.x.in-addr.arpa'])
    assert.equal(pointedAddress(other), undefined);
  assert.equal(addressBytes('10.208.0.2/20'), undefined);
});
