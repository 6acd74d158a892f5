import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  a,
  answerBytes,
  askUdp,
  nameBytes,
  optBytes,
  queryBytes,
  startUpstream,
  TYPES,
} from '../../../test/fixtures/dns.ts';
import { openNames } from '../../../test/fixtures/names.ts';
import { parseDns, RCODE } from '../../formats/dns.ts';
import type { AddressRecord, NameQuery } from './index.ts';
import { hostResolvers, parseResolvConf } from './resolv-conf.ts';

const outside = () => ({ records: [a('192.0.2.7')] });

test('a name that is not ours is answered by the host’s resolver', async (t) => {
  const upstream = await startUpstream(t, outside);
  const { client } = await openNames(t, { upstreams: [upstream] });
  assert.deepEqual(await client.resolve4('example.com', { ttl: true }), [{ address: '192.0.2.7', ttl: 300 }]);
  assert.deepEqual(await client.resolve4('nas'), ['192.0.2.7']);
});

test('question and answer pass as they are, but for the id: options, flags and unknown types', async (t) => {
  const data = Buffer.from('0001000001000302683200', 'hex');
  const told = { records: [{ type: 65, data }], opt: optBytes(1400) };
  const upstream = await startUpstream(t, () => told);
  const { port } = await openNames(t, { upstreams: [upstream] });
  // Checking disabled, authentic data wanted, an unknown EDNS option.
  const cookie = Buffer.from('000a0008a1a2a3a4a5a6a7a8', 'hex');
  const opt = Buffer.concat([optBytes(1400).fill(cookie.length, 10), cookie]);
  const query = queryBytes('ExAmPle.com', 65, { id: 99, flags: 0x0130, opt });
  assert.deepEqual(await askUdp(port, query), answerBytes(query, told));
  assert.deepEqual(upstream.asked[0]?.bytes.subarray(2), query.subarray(2));
});

test('each question goes outside from another port and with another id', async (t) => {
  const upstream = await startUpstream(t, outside);
  const { port } = await openNames(t, { upstreams: [upstream] });
  for (let count = 0; count < 20; count++) await askUdp(port, queryBytes('example.com', TYPES.A, { id: 7 }));
  const ids = new Set(upstream.asked.map(({ bytes }) => bytes.readUInt16BE(0)));
  assert.ok(ids.size > 15 && upstream.fromPorts.size > 15);
});

test('a truncated answer makes the client ask by TCP, which is passed on by TCP', async (t) => {
  const all = Array.from({ length: 300 }, (_, index) => a(`192.0.${index >> 8}.${index & 255}`));
  const upstream = await startUpstream(t, ({ transport }) =>
    transport === 'tcp' ? { records: all } : { truncated: true },
  );
  const { client } = await openNames(t, { upstreams: [upstream] });
  assert.equal((await client.resolve4('example.com')).length, 300);
  assert.deepEqual(
    upstream.asked.map(({ transport }) => transport),
    ['udp', 'tcp'],
  );
});

test('an answer that is larger than the client takes is cut', async (t) => {
  const records = Array.from({ length: 60 }, (_, index) => a(`192.0.2.${index}`));
  const upstream = await startUpstream(t, () => ({ records }));
  const { port } = await openNames(t, { upstreams: [upstream] });
  const reply = await askUdp(port, queryBytes('example.com', TYPES.A));
  const message = parseDns(reply);
  assert.ok(message.isTruncated && reply.length <= 512 && message.answers.length > 25);
});

test('a resolver that is gone, fails or says nothing is made up for by the next one', async (t) => {
  const good = await startUpstream(t, outside);
  const failing = await startUpstream(t, () => ({ rcode: RCODE.serverFailure }));
  const silent = await startUpstream(t, () => 'silence');
  const gone = { address: '127.0.0.1', port: 9 };
  for (const upstreams of [
    [gone, good],
    [failing, good],
    [silent, good],
  ]) {
    const { client } = await openNames(t, { upstreams });
    assert.deepEqual(await client.resolve4('example.com'), ['192.0.2.7']);
  }
  assert.equal(failing.asked.length, 1);
});

test('a resolver that said nothing is asked last for a while', async (t) => {
  const [silent, good] = [await startUpstream(t, () => 'silence'), await startUpstream(t, outside)];
  const { client } = await openNames(t, { upstreams: [silent, good] });
  await client.resolve4('example.com');
  await client.resolve4('example.org');
  assert.deepEqual([silent.asked.length, good.asked.length], [1, 2]);
});

test('a datagram that got lost is sent once more', async (t) => {
  const upstream = await startUpstream(t, () => (upstream.asked.length === 1 ? 'silence' : outside()));
  const { client } = await openNames(t, { upstreams: [upstream] });
  assert.deepEqual(await client.resolve4('example.com'), ['192.0.2.7']);
});

test('when all resolvers fail, or there is none, so does the question, and says why to those who ask', async (t) => {
  const failing = await startUpstream(t, () => ({ rcode: RCODE.refused }));
  const { client, port } = await openNames(t, { upstreams: [failing] });
  await assert.rejects(client.resolve4('example.com'), { code: 'EREFUSED' });
  assert.equal(parseDns(await askUdp(port, queryBytes('x.org', TYPES.A))).rcode, RCODE.refused);
  const alone = await openNames(t);
  const reply = await askUdp(alone.port, queryBytes('x.org', TYPES.A, { opt: optBytes(1232) }));
  assert.equal(parseDns(reply).rcode, RCODE.serverFailure);
  assert.ok(reply.includes('no resolver of the host answered'));
});

test('answers with another id, question or kind are ignored, and the true one is waited for', async (t) => {
  const upstream = await startUpstream(t, ({ bytes }) => {
    const forged = { records: [a('203.0.113.66')] };
    const otherId = answerBytes(bytes, forged);
    otherId.writeUInt16BE((bytes.readUInt16BE(0) + 1) & 0xffff, 0);
    const echo = Buffer.from(bytes);
    const [one, two] = [queryBytes('evil.com', TYPES.A), queryBytes('example.com', TYPES.AAAA)];
    for (const other of [one, two]) bytes.copy(other, 0, 0, 2);
    const others = [
      otherId,
      echo,
      answerBytes(one, forged),
      answerBytes(two, forged),
      Buffer.from([1, 2, 3]),
    ];
    return [...others, answerBytes(bytes, outside())];
  });
  const { client } = await openNames(t, { upstreams: [upstream] });
  assert.deepEqual(await client.resolve4('example.com'), ['192.0.2.7']);
});

test('a name that may not be asked for does not exist, and nobody outside hears of it', async (t) => {
  const upstream = await startUpstream(t, outside);
  const seen: NameQuery[] = [];
  const forwards = (query: NameQuery) => seen.push(query) > 0 && query.name === 'pypi.org';
  const { client, port } = await openNames(t, { upstreams: [upstream], forwards });
  await assert.rejects(client.resolve4('Secret.Evil.com'), { code: 'ENOTFOUND' });
  const reply = await askUdp(port, queryBytes('evil.com', TYPES.TXT, { opt: optBytes(1232) }));
  assert.ok(reply.includes('the network or its policy'));
  assert.equal(upstream.asked.length, 0);
  assert.deepEqual(seen[0], { networkId: 'shop', client: '127.0.0.1', name: 'secret.evil.com' });
  assert.deepEqual(await client.resolve4('pypi.org'), ['192.0.2.7']);
});

test('the addresses behind aliases are admitted under the name that was asked for, before they are told', async (t) => {
  const records = [
    { type: TYPES.CNAME, data: nameBytes('cdn.example.net') },
    a('192.0.2.7', 90_000, 'cdn.example.net'),
    a('192.0.2.8', 60, 'cdn.example.net'),
  ];
  const upstream = await startUpstream(t, () => ({ records }));
  const admitted: { query: NameQuery; addresses: readonly AddressRecord[] }[] = [];
  let inForce = false;
  const admit = async (query: NameQuery, addresses: readonly AddressRecord[]) => {
    admitted.push({ query, addresses });
    await new Promise((resolve) => setImmediate(resolve));
    inForce = true;
    return addresses.map(({ address }) => address);
  };
  const { client } = await openNames(t, { upstreams: [upstream], admit });
  const told = await client.resolve4('pypi.org', { ttl: true });
  assert.ok(inForce);
  assert.equal(admitted[0]?.query.name, 'pypi.org');
  assert.deepEqual(
    admitted[0]?.addresses.map(({ address, ttlSeconds }) => [address, ttlSeconds]),
    [
      ['192.0.2.7', 90_000],
      ['192.0.2.8', 60],
    ],
  );
  // The firewall remembers for an hour: so may clients.
  assert.ok(told.every(({ ttl }) => ttl <= 3600));
});

test('addresses that are not admitted are not told', async (t) => {
  const upstream = await startUpstream(t, () => ({ records: [a('192.0.2.7'), a('169.254.169.254')] }));
  const allowed = new Set(['192.0.2.7']);
  const { client } = await openNames(t, {
    upstreams: [upstream],
    admit: async (_, addresses) =>
      addresses.map(({ address }) => address).filter((address) => allowed.has(address)),
  });
  assert.deepEqual(await client.resolve4('rebind.example'), ['192.0.2.7']);
  allowed.clear();
  await assert.rejects(client.resolve4('rebind.example'), { code: 'ENODATA' });
});

test('a firewall that fails keeps answers back, and is logged once', async (t) => {
  const upstream = await startUpstream(t, outside);
  const lines: string[] = [];
  const { client } = await openNames(t, {
    upstreams: [upstream],
    admit: () => Promise.reject(new Error('nft is gone')),
    log: (line) => lines.push(line),
  });
  for (const name of ['example.com', 'example.org'])
    await assert.rejects(client.resolve4(name), { code: 'ESERVFAIL' });
  assert.deepEqual(lines, ['name service: nft is gone']);
});

test('the host’s resolvers are read as the C library reads them', () => {
  const named = (text: string) => parseResolvConf(text).map(({ address }) => address);
  assert.deepEqual(named('# nameserver 192.0.2.9\nnameserver 192.0.2.1 # first\nnameserver\tfd00::53\n'), [
    '192.0.2.1',
    'fd00::53',
  ]);
  assert.deepEqual(named('nameserver fe80::1%eth0\nnameserver nonsense\n'), ['fe80::1%eth0']);
  assert.deepEqual(named('search example.com\n'), ['127.0.0.1']);
  assert.equal(named('nameserver 192.0.2.1\n'.repeat(5)).length, 3);
});

test('a change of resolv.conf holds for the next question, also when the file is replaced or gone', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'berth-names-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'resolv.conf');
  const resolvers = hostResolvers(file);
  const now = () => resolvers().map(({ address }) => address);
  assert.deepEqual(now(), ['127.0.0.1']);
  await writeFile(file, 'nameserver 192.0.2.1\n');
  assert.deepEqual(now(), ['192.0.2.1']);
  await writeFile(`${file}.new`, 'nameserver 192.0.2.2\n');
  await rename(`${file}.new`, file);
  assert.deepEqual(now(), ['192.0.2.2']);
  await rm(file);
  assert.deepEqual(now(), ['127.0.0.1']);
});
