// The shim against clients that misbehave.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { spawnShim } from '../../src/drivers/container/process.ts';
import { encodeFields, encodeFrame, FRAME } from '../../src/formats/frames.ts';
import { connectShim } from '../../src/guest/index.ts';
import { openLab, SHIM_PATH } from '../fixtures/container.ts';

describe('a shim', () => {
  it('closes a connection that sends nonsense, and no other', async () => {
    await using lab = await openLab();
    const spec = await lab.bench.spec(['sleep', '1000']);
    const instance = lab.bench.own(await lab.driver.create(spec));
    await instance.start();
    const huge = Buffer.alloc(8);
    huge[0] = FRAME.open;
    huge.writeUInt32BE(0xffffffff, 4);
    const nonsense = [
      huge,
      encodeFrame(FRAME.stdin, 'no operation open'),
      encodeFrame(FRAME.open, 'op=stat'),
      randomBytes(4096),
    ];
    for (const bytes of nonsense) {
      const socket = connectTo(spec.dir);
      socket.on('error', () => {});
      socket.write(bytes);
      socket.resume();
      await once(socket, 'close');
    }
    assert.equal((await instance.state()).state, 'running');
    await instance.kill(9);
    assert.equal((await instance.wait()).code, 137);
  });

  it('answers what it cannot do', async () => {
    await using lab = await openLab();
    const spec = await lab.bench.spec(['sleep', '1000']);
    const instance = lab.bench.own(await lab.driver.create(spec));
    await instance.start();
    const connection = await connectShim(spec.dir);
    await assert.rejects(connection.request('start'), /started before/);
    await assert.rejects(connection.request('fly'), /unknown operation fly/);
    await assert.rejects(connection.request('signal', { signal: 999 }), /signal 999/);
    await assert.rejects(connection.request('quit'), /running/);
    await assert.rejects(connection.request('exec', { process: '{' }));
    const named = { args: ['\u001b[2Jnone'], cwd: '/', env: ['PATH=/bin'], user: { uid: 0, gid: 0 } };
    await assert.rejects(connection.request('exec', { process: JSON.stringify(named) }), {
      message: /\\x1b\[2Jnone/,
      exitStatus: 127,
    });
    connection.send(FRAME.open, encodeFields({}));
    connection.close();
    assert.equal((await instance.state()).state, 'running');
  });

  it('is the only one of its folder', async () => {
    await using lab = await openLab();
    const spec = await lab.bench.spec(['sleep', '1000']);
    const instance = lab.bench.own(await lab.driver.create(spec));
    await instance.start();
    const second = spawnShim(SHIM_PATH, '/usr/bin/crun', spec);
    await assert.rejects(second.prepare('identity'), {
      code: 'conflict',
      message: /another supervisor holds/,
    });
    await second.gone;
    assert.equal((await instance.state()).state, 'running');
    await instance.kill(9);
    assert.equal((await instance.wait()).code, 137);
  });

  it('takes clients that vanish in the middle of anything', async () => {
    await using lab = await openLab();
    const spec = await lab.bench.spec(
      ['sh', '-c', 'while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done'],
      {
        log: { driver: 'none', maxFiles: 1 },
      },
    );
    const instance = lab.bench.own(await lab.driver.create(spec));
    await instance.start();
    for (const [op, fields] of [
      ['attach', { stdout: true }],
      ['exec', { process: JSON.stringify({ args: ['cat'] }), stdin: true }],
      ['write', { path: '/' }],
      ['read', { path: '/bin' }],
    ] as const) {
      const socket = connectTo(spec.dir);
      socket.on('error', () => {});
      await once(socket, 'connect');
      await new Promise((resolve) =>
        socket.write(encodeFrame(FRAME.open, encodeFields({ op, ...fields })), resolve),
      );
      socket.destroy();
    }
    const stats = await instance.files?.stat('/bin/sh');
    assert.equal(stats?.name, 'sh');
    await instance.kill(9);
    await instance.wait();
    await instance.remove();
    assert.ok(!existsSync(join(spec.dir, 'shim.err')));
    assert.deepEqual(lab.leftovers(), []);
  });
});

/** Through a descriptor of the folder: its path is nearly as long as an address may be. */
function connectTo(dir: string): Socket {
  const folder = openSync(dir, 'r');
  const socket = connect(`/proc/self/fd/${folder}/shim.sock`);
  socket.once('connect', () => closeSync(folder));
  return socket;
}
