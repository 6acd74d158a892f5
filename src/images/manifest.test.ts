import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isBerthError } from '../core/index.ts';
import { formatManifest, MEDIA_TYPES, parseConfig, parseManifest } from './manifest.ts';
import { formatPlatform, parsePlatform, suits } from './platform.ts';

const digest = `sha256:${'c'.repeat(64)}`;
const layer = { mediaType: MEDIA_TYPES.ociLayerGzip, digest, size: 3 };
const config = { mediaType: MEDIA_TYPES.ociConfig, digest, size: 2 };

test('a manifest is read as it was written', () => {
  const manifest = parseManifest(formatManifest(config, [layer]), 'x');
  assert.deepEqual(manifest, {
    kind: 'manifest',
    mediaType: MEDIA_TYPES.ociManifest,
    config,
    layers: [layer],
  });
});

test('what is no manifest is refused, with a reason', () => {
  const cases: readonly (readonly [unknown, string, RegExp])[] = [
    [[], 'invalid-argument', /x: not a JSON object/],
    [{ schemaVersion: 1, fsLayers: [] }, 'unsupported', /schema 1/],
    [{ schemaVersion: 2 }, 'invalid-argument', /neither an image manifest nor an index/],
    [
      { layers: [{ ...layer, digest: 'sha256:1' }], config },
      'invalid-argument',
      /"sha256:1" is not a sha256 digest/,
    ],
    [{ layers: [{ ...layer, size: -1 }], config }, 'invalid-argument', /no valid size/],
    [{ layers: [{ ...layer, mediaType: 'text/plain' }], config }, 'unsupported', /of type "text\/plain"/],
    [{ layers: [] }, 'invalid-argument', /a descriptor is missing/],
    [{ manifests: [null] }, 'invalid-argument', /a descriptor is missing/],
  ];
  for (const [document, code, message] of cases)
    assert.throws(
      () => parseManifest(JSON.stringify(document), 'x'),
      (error) => isBerthError(error) && error.code === code && message.test(error.message),
    );
  assert.throws(() => parseManifest('{', 'x'), /x: not valid JSON/);
});

test("of a stranger's configuration only fields of the right type are kept", () => {
  const parsed = parseConfig(
    JSON.stringify({
      architecture: 'amd64',
      rootfs: { diff_ids: [digest] },
      config: {
        Cmd: ['a'],
        Env: 'PATH=/',
        Entrypoint: [1],
        User: 7,
        Labels: { a: 'b', c: 1 },
        OnBuild: ['x'],
      },
      history: [null, { created_by: 'me' }],
    }),
    'x',
  );
  assert.deepEqual(parsed.config, { Cmd: ['a'], Labels: { a: 'b' } });
  assert.deepEqual(parsed.history, [{ created_by: 'me' }]);
  assert.equal(parsed.os, 'linux');
  assert.throws(() => parseConfig('{"config":{}}', 'x'), /lists no layers/);
});

test('documents that no kernel could follow or that would take a daemon for ever are refused by what is too much', () => {
  const layer = { mediaType: MEDIA_TYPES.ociLayer, digest, size: 1 };
  const many = JSON.stringify({ config: layer, layers: Array.from({ length: 257 }, () => layer) });
  assert.throws(() => parseManifest(many, 'x'), /x: it has 257 layers, and no more than 256/);
  const manifests = Array.from({ length: 1001 }, () => layer);
  assert.throws(() => parseManifest(JSON.stringify({ manifests }), 'x'), /1001 manifests/);
  const parse = (config: object, rest: object = {}) =>
    parseConfig(JSON.stringify({ ...rest, config, rootfs: { diff_ids: [digest] } }), 'x');
  const volumes = Object.fromEntries(Array.from({ length: 4097 }, (_, index) => [`/v${index}`, {}]));
  assert.throws(() => parse({ Volumes: volumes }), /4097 entries in Volumes/);
  assert.throws(() => parse({ Env: ['A=b\0c'] }), /an entry in Env is too long or has a NUL byte/);
  assert.throws(() => parse({ Cmd: ['x'.repeat(1 << 20)] }), /an entry in Cmd is too long/);
  assert.throws(() => parse({ User: 'a\0b' }), /User is too long or has a NUL byte/);
  assert.equal(parse({}, { created: 'yesterday' }).created, undefined);
  assert.deepEqual(parse({}, { history: [{ created_by: 7, comment: 'c', empty_layer: 'x' }] }).history, [
    { comment: 'c' },
  ]);
});

test('platforms are compared with their aliases and default variants', () => {
  assert.equal(formatPlatform(parsePlatform('Linux/x86_64')), 'linux/amd64');
  assert.equal(formatPlatform(parsePlatform('aarch64')), 'linux/arm64');
  const arm64 = parsePlatform('linux/arm64');
  assert.ok(suits({ os: 'linux', architecture: 'arm64', variant: 'v8' }, arm64));
  assert.ok(!suits({ os: 'linux', architecture: 'arm', variant: 'v6' }, parsePlatform('linux/arm')));
  assert.ok(!suits({ os: 'windows', architecture: 'arm64' }, arm64));
  for (const wrong of ['a/b/c/d', '/', 'linux/']) assert.throws(() => parsePlatform(wrong), /not a platform/);
});
