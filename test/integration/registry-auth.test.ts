// Registries that want to know who asks: TLS with an authority of one's own, Basic, and tokens.

import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { isBerthError, type RegistryAuth } from '../../src/core/index.ts';
import { run } from '../../src/host/process.ts';
import { HELLO, makeImage } from '../fixtures/archives.ts';
import { makeCertificates } from '../fixtures/archives-certificates.ts';
import { pushImage, startRegistry } from '../fixtures/archives-registry.ts';
import { openStore, tempFolder } from '../fixtures/archives-store.ts';
import { ADA, IDENTITY_TOKEN, startTokenServer } from '../fixtures/archives-token-server.ts';

const DENIED = /pull access denied for .*team\/app, repository does not exist or may require/;

async function denied(promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.match(String(error), DENIED);
    return isBerthError(error, 'permission-denied');
  });
}

function basic({ username = '', password = '' }: RegistryAuth): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

async function trust(folder: string, host: string, authority: string): Promise<void> {
  await mkdir(join(folder, host), { recursive: true });
  await writeFile(join(folder, host, 'ca.crt'), authority);
}

async function registryWithPassword(t: TestContext) {
  const folder = await tempFolder(t);
  const certificates = await makeCertificates(folder);
  const { stdout } = await run('htpasswd', ['-Bbn', ADA.username, ADA.password]);
  await writeFile(join(folder, 'htpasswd'), stdout);
  const registry = await startRegistry(t, {
    tls: certificates,
    auth: { htpasswd: { realm: 'berth', path: join(folder, 'htpasswd') } },
  });
  const image = await makeImage([HELLO]);
  const { authority } = certificates;
  await pushImage(registry.origin, 'team/app', 'v1', image, { authorization: basic(ADA), ca: authority });
  return { ...registry, image, authority, certsFolder: join(folder, 'certs.d') };
}

test('a registry with a certificate of unknown authority is refused until the authority is trusted', async (t) => {
  const { host, authority, certsFolder, image } = await registryWithPassword(t);
  const { store } = await openStore(t, { certsFolders: [certsFolder] });
  const pull = () => store.pull(`${host}/team/app:v1`, { auth: ADA });
  await assert.rejects(pull(), (error) => {
    assert.match(String(error), new RegExp(`certificate is not trusted.*certs\\.d/${host}/ca\\.crt`));
    return isBerthError(error, 'unavailable');
  });
  await trust(certsFolder, host, 'not a certificate');
  await assert.rejects(pull(), /certificates of .* cannot be used \(.*ca\.crt\)/);
  await trust(certsFolder, host, authority);
  assert.equal((await pull()).id, image.id);
});

test('a password is asked for, checked and sent', async (t) => {
  const { host, authority, certsFolder, image } = await registryWithPassword(t);
  await trust(certsFolder, host, authority);
  const { store, content } = await openStore(t, { certsFolders: [certsFolder] });
  const pull = (auth?: RegistryAuth) => store.pull(`${host}/team/app:v1`, auth === undefined ? {} : { auth });
  await denied(pull());
  await denied(pull({}));
  await denied(pull({ username: 'ada', password: 'wrong' }));
  assert.deepEqual(await content(), []);
  assert.equal((await pull(ADA)).id, image.id);
});

test('a token is fetched for the repository, with password, identity token or ready made', async (t) => {
  const folder = await tempFolder(t);
  const certificates = await makeCertificates(folder);
  // The registry wants the chain to end at a certificate that it knows: the server's own.
  const tokens = await startTokenServer(t, certificates);
  const { host, origin } = await startRegistry(t, { auth: tokens.auth });
  const image = await makeImage([HELLO]);
  const scope = 'repository:team/app:pull,push';
  const url = new URL((tokens.auth as { token: { realm: string } }).token.realm);
  url.searchParams.set('scope', scope);
  const answer = await fetch(url, { headers: { authorization: basic(ADA) } });
  const { token } = (await answer.json()) as { token: string };
  await pushImage(origin, 'team/app', 'v1', image, { authorization: `Bearer ${token}` });
  tokens.requests.length = 0;

  const { store } = await openStore(t);
  const pull = (auth: RegistryAuth) => store.pull(`${host}/team/app:v1`, { auth });
  await denied(pull({}));
  await denied(pull({ username: 'ada', password: 'wrong' }));
  assert.equal((await pull(ADA)).id, image.id);
  assert.deepEqual(tokens.requests.at(-1), {
    method: 'GET',
    account: 'ada',
    scope: 'repository:team/app:pull',
  });
  assert.equal((await pull({ identityToken: IDENTITY_TOKEN })).id, image.id);
  assert.equal(tokens.requests.at(-1)?.method, 'POST');
  const before = tokens.requests.length;
  assert.equal((await pull({ registryToken: token })).id, image.id);
  assert.equal(tokens.requests.length, before, 'a token that is there is used');
});
