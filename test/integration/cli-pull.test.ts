import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { run } from '../../src/host/index.ts';
import { makeImage } from '../fixtures/archives.ts';
import { startProxy } from '../fixtures/archives-proxy.ts';
import { pushImage, startRegistry } from '../fixtures/archives-registry.ts';
import { CliHost } from '../fixtures/cli.ts';

let host: CliHost;

before(async () => {
  host = await CliHost.open();
});

after(async () => {
  assert.deepEqual(await host.close(), []);
});

/** Incompressible, so that there is something to see on the way. */
const layer = () => [
  { name: `file-${randomBytes(4).toString('hex')}`, type: 'file' as const, content: randomBytes(3_000_000) },
];

test('a pull shows lines where there is no terminal, and bars where there is one', async (t) => {
  const { host: registry, origin } = await startRegistry(t);
  await pushImage(origin, 'lines', 'latest', await makeImage([layer(), layer()]));
  await pushImage(origin, 'bars', '1', await makeImage([layer(), layer()]));
  const lines = await host.ok('pull', `${registry}/lines`);
  assert.match(lines, /^Using default tag: latest\n/);
  assert.match(lines, /^[0-9a-f]{12}: Pull complete$/m);
  assert.match(lines, /^Digest: sha256:[0-9a-f]{64}$/m);
  assert(!lines.includes('\x1b'));
  // Of each layer the second half comes once a bar was drawn.
  const proxy = await startProxy(t, registry);
  const drawn = Promise.withResolvers<void>();
  proxy.disturb = ({ path }, response, upstream) => {
    if (!path.includes('/blobs/') || Number(upstream.headers['content-length']) < 1_000_000) return false;
    response.writeHead(upstream.statusCode ?? 500, upstream.headers);
    void passHalf(upstream, response, drawn.promise);
    return true;
  };
  const bar = /\[=+>? *\] [\d.]+[kM]?B\/[\d.]+MB/;
  const terminal = host.onTerminal(`stty columns 100; berth pull ${proxy.host}/bars:1`);
  await terminal.until(bar);
  drawn.resolve();
  const { code, stdout } = await terminal.done;
  assert.equal(code, 0, stdout);
  // Two lines up: both bars are drawn in place.
  assert(stdout.includes('\x1b[2A'));
  assert.match(stdout, /Digest: sha256:/);
  assert.equal(await host.ok('pull', '-q', `${proxy.host}/bars:1`), `${proxy.host}/bars:1\n`);
});

async function passHalf(from: IncomingMessage, to: ServerResponse, drawn: Promise<void>): Promise<void> {
  const content = await buffer(from);
  to.write(content.subarray(0, content.length / 2));
  await drawn;
  to.end(content.subarray(content.length / 2));
}

test('run pulls an image that is not here, and says so on stderr', async (t) => {
  const { host: registry, origin } = await startRegistry(t);
  await pushImage(origin, 'fresh', 'latest', await makeImage([layer()]));
  const name = `${registry}/fresh`;
  const { code, stdout, stderr } = await host.run('create', name);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^[0-9a-f]{64}\n$/);
  assert.match(stderr, new RegExp(`^Unable to find image '${name}' locally\n`));
  assert.match(stderr, /Pull complete/);
});

test('an image that the registry does not have is refused and named', async (t) => {
  const { host: registry } = await startRegistry(t);
  const missing = await host.run('pull', `${registry}/none:1`);
  assert.notEqual(missing.code, 0);
  assert.match(missing.stderr, /^Error response from daemon: .*none/);
});

test("credentials come from Docker's config.json", async (t) => {
  const passwords = join(host.root, 'htpasswd');
  await writeFile(passwords, (await run('htpasswd', ['-Bbn', 'ada', 'pass:word'])).stdout);
  const { host: registry, origin } = await startRegistry(t, {
    auth: { htpasswd: { realm: 'berth', path: passwords } },
  });
  const secret = Buffer.from('ada:pass:word').toString('base64');
  await pushImage(origin, 'private', '1', await makeImage([layer()]), { authorization: `Basic ${secret}` });
  const refused = await host.run('pull', `${registry}/private:1`);
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /private/);
  await mkdir(join(host.root, '.docker'), { recursive: true });
  const config = { auths: { [registry]: { auth: secret } } };
  await writeFile(join(host.root, '.docker/config.json'), JSON.stringify(config));
  await host.ok('pull', '-q', `${registry}/private:1`);
});
