import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import {
  a,
  answerBytes,
  askTcp,
  askUdp,
  optBytes,
  queryBytes,
  startUpstream,
  TYPES,
} from '../../../test/fixtures/dns.ts';
import { openNames } from '../../../test/fixtures/names.ts';
import { parseDns, RCODE } from '../../formats/dns.ts';

test('what is no question of ours to answer is refused with the code for it', async (t) => {
  const upstream = await startUpstream(t, () => ({ records: [a('192.0.2.7')] }));
  const { port } = await openNames(t, { upstreams: [upstream] });
  const twice = queryBytes('x.org', TYPES.A);
  twice.writeUInt16BE(2, 4);
  const cases: [Buffer, number][] = [
    [queryBytes('x.org', TYPES.A, { flags: 5 << 11 }), RCODE.notImplemented],
    [queryBytes('x.org', 252), RCODE.refused],
    [queryBytes('version.bind', TYPES.TXT, { class: 3 }), RCODE.refused],
    [twice, RCODE.formatError],
    [queryBytes('x.org', TYPES.A).subarray(0, 15), RCODE.formatError],
    [Buffer.alloc(12), RCODE.formatError],
  ];
  for (const [query, rcode] of cases) assert.equal(parseDns(await askUdp(port, query)).rcode, rcode);
  const version = parseDns(await askUdp(port, queryBytes('x.org', TYPES.A, { opt: optBytes(1232, 9) })));
  assert.equal((version.rcode | ((version.additionals[0]?.ttl ?? 0) >> 20)) & 0xff, RCODE.badVersion);
  assert.equal(upstream.asked.length, 0);
});

test('answers are not answered', async (t) => {
  const { port, names } = await openNames(t);
  names.set('web', ['10.208.0.2']);
  const query = queryBytes('web', TYPES.A);
  const socket = createSocket('udp4');
  t.after(() => socket.close());
  socket.send(answerBytes(query, {}), port, '127.0.0.1');
  socket.send(Buffer.from([1, 2, 3]), port, '127.0.0.1');
  socket.send(query, port, '127.0.0.1');
  const [reply] = (await once(socket, 'message')) as [Buffer];
  assert.equal(parseDns(reply).answers.length, 1);
});

test('who is not of the network’s subnet gets no answer', async (t) => {
  const { server, names, client } = await openNames(t);
  names.set('web', ['10.208.0.2']);
  const port = await server.listen('shop', '127.0.0.9/29');
  const query = queryBytes('web', TYPES.A);
  const [outsider, member] = [createSocket('udp4'), createSocket('udp4')];
  t.after(() => void [outsider.close(), member.close()]);
  const heard: string[] = [];
  for (const [socket, address] of [
    [outsider, '127.0.0.1'],
    [member, '127.0.0.10'],
  ] as const) {
    await new Promise<void>((resolve) => socket.bind(0, address, resolve));
    socket.on('message', () => heard.push(address));
    socket.send(query, port, '127.0.0.9');
  }
  await once(member, 'message');
  const stream = connect({ port, host: '127.0.0.9', localAddress: '127.0.0.1' }).on('error', () => {});
  await once(stream.resume(), 'close');
  assert.deepEqual(heard, ['127.0.0.10']);
  assert.deepEqual(await client.resolve4('web'), ['10.208.0.2']);
});

test('garbage leaves nothing behind: no wait, no socket, no connection, and names are still found', {
  timeout: 20_000,
}, async (t) => {
  const upstream = await startUpstream(t, ({ bytes }) => [
    mutated(bytes),
    answerBytes(bytes, { records: [a('192.0.2.7')] }),
  ]);
  const { server, port, names, client } = await openNames(t, { upstreams: [upstream] });
  names.set('web', ['10.208.0.2']);
  await client.resolve4('web');
  const socket = createSocket('udp4');
  socket.on('message', () => {});
  const seeds = [
    queryBytes('web', TYPES.A),
    queryBytes('a.very.long.name.example.com', TYPES.AAAA, { opt: optBytes(4096) }),
    answerBytes(queryBytes('x.org', TYPES.A), { records: [a('192.0.2.1')] }),
  ];
  for (let count = 0; count < 3000; count++) {
    const seed = seeds[count % seeds.length] ?? Buffer.alloc(0);
    const bytes = count % 5 === 0 ? randomBytes(Math.floor(random() * 600)) : mutated(seed);
    await sendAndYield(socket, bytes, port);
  }
  socket.close();
  for (let count = 0; count < 50; count++) {
    const stream = connect(port, '127.0.0.1').on('error', () => {});
    stream.end(randomBytes(Math.floor(random() * 3000)));
    stream.resume();
    await once(stream, 'close');
  }
  assert.deepEqual(await client.resolve4('web'), ['10.208.0.2']);
  assert.deepEqual(await client.resolve4('example.com'), ['192.0.2.7']);
  while (server.waiting > 0) await new Promise((resolve) => setImmediate(resolve));
});

test('one client’s unanswered questions are bounded, do not keep others’ waiting, and end with the server', async (t) => {
  const upstream = await startUpstream(t, () => 'silence');
  const { server, port, names, client } = await openNames(t, { upstreams: [upstream] });
  names.set('web', ['10.208.0.2']);
  const all = Array.from({ length: 300 }, (_, id) => queryBytes(`n${id}.example`, TYPES.A, { id }));
  const replies = askTcp(port, all);
  const socket = createSocket('udp4');
  for (const query of all) await sendAndYield(socket, query, port);
  assert.deepEqual(await client.resolve4('web'), ['10.208.0.2']);
  assert.equal(server.waiting, 128);
  await server.close();
  socket.close();
  await replies.catch(() => {});
  assert.equal(server.waiting, 0);
});

test('a question that is repeated while it waits goes outside once', async (t) => {
  const upstream = await startUpstream(t, () => 'silence');
  const { server, port, names, client } = await openNames(t, { upstreams: [upstream] });
  names.set('web', ['10.208.0.2']);
  const socket = createSocket('udp4');
  t.after(() => socket.close());
  for (let count = 0; count < 10; count++) socket.send(queryBytes('x.org', TYPES.A), port, '127.0.0.1');
  await client.resolve4('web');
  assert.equal(server.waiting, 1);
});

test('a connection that announces too much is cut', async (t) => {
  const { port } = await openNames(t);
  const stream = connect(port, '127.0.0.1').on('error', () => {});
  stream.write(Buffer.from([0xff, 0xff, 0]));
  await once(stream.resume(), 'close');
});

/** The server reads in this process, too: without a turn of its own it would lose what its socket cannot hold. */
async function sendAndYield(socket: Socket, bytes: Buffer, port: number): Promise<void> {
  await new Promise((resolve) => socket.send(bytes, port, '127.0.0.1', resolve));
  await new Promise((resolve) => setImmediate(resolve));
}

// Reproducible, so that a failure can be looked into.
let state = 20_261_125;
function random(): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return state / 2 ** 32;
}

function randomBytes(length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)));
}

function mutated(seed: Buffer): Buffer {
  const bytes = Buffer.from(
    seed.subarray(0, random() < 0.3 ? Math.floor(random() * seed.length) : undefined),
  );
  for (let count = 0; count < 3 && bytes.length > 0; count++)
    bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
  return bytes;
}
