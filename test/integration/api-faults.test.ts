// Bad input to the API: Docker's status codes, and messages that name the object.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { type ApiDaemon, type CallOptions, startApiDaemon } from '../fixtures/api-daemon.ts';

interface Fault {
  readonly title: string;
  readonly call: readonly [method: string, path: string, options?: CallOptions];
  readonly status: number;
  readonly message: RegExp;
}

const create = (body: unknown, name = '') => ['POST', `/v1.41/containers/create${name}`, { body }] as const;
const withHost = (hostConfig: object) => create({ Image: 'busybox', HostConfig: hostConfig });

/** There are the workloads `stopped` (never started), `ended` and `running`, and the image `busybox`. */
const FAULTS: readonly Fault[] = [
  { title: 'an unknown page', call: ['GET', '/nowhere'], status: 404, message: /page not found/ },
  {
    title: 'a method that a page has not',
    call: ['POST', '/version'],
    status: 404,
    message: /page not found/,
  },
  {
    title: 'a client that is too new',
    call: ['GET', '/v1.99/info'],
    status: 400,
    message: /client version 1\.99 is too new\. Maximum supported API version is 1\.\d+/,
  },
  {
    title: 'a client that is too old',
    call: ['GET', '/v1.12/info'],
    status: 400,
    message: /client version 1\.12 is too old/,
  },
  {
    title: 'an invalid escape in a path',
    call: ['GET', '/containers/%zz/json'],
    status: 400,
    message: /invalid escape/,
  },
  { title: 'JSON that is none', call: create('{bad'), status: 400, message: /not JSON/ },
  { title: 'JSON that is no object', call: create('[1]'), status: 400, message: /not a JSON object/ },
  { title: 'no body', call: ['POST', '/containers/create'], status: 400, message: /body is empty/ },
  {
    title: 'a body of another type',
    call: ['POST', '/containers/create', { body: '{}', type: 'text/plain' }],
    status: 400,
    message: /Content-Type specified \(text\/plain\) must be 'application\/json'/,
  },
  {
    title: 'a body beyond the limit',
    call: create(JSON.stringify({ Image: 'x'.repeat(5 << 20) })),
    status: 413,
    message: /larger than/,
  },
  {
    title: 'a field of the wrong type',
    call: create({ Image: 'busybox', HostConfig: { Memory: '64m' } }),
    status: 400,
    message: /invalid HostConfig\.Memory: a string is not a whole number/,
  },
  { title: 'no image named', call: create({}), status: 400, message: /Config cannot be empty/ },
  {
    title: 'an image that is not here',
    call: create({ Image: 'no-such-image' }),
    status: 404,
    message: /No such image: no-such-image/,
  },
  {
    title: 'an image that is here for another platform only',
    call: create({ Image: 'busybox' }, '?platform=linux/s390x'),
    status: 404,
    message: /No such image: busybox for platform linux\/s390x/,
  },
  {
    title: 'an image name that is none',
    call: create({ Image: 'Not A Name' }),
    status: 400,
    message: /invalid reference format/,
  },
  {
    title: 'a name that is none',
    call: create({ Image: 'busybox' }, '?name=a/b'),
    status: 400,
    message: /Invalid container name \(a\/b\)/,
  },
  {
    title: 'a name that is taken',
    call: create({ Image: 'busybox' }, '?name=running'),
    status: 409,
    message: /The container name "\/running" is already in use by container "?[0-9a-f]{64}/,
  },
  {
    title: 'too little memory',
    call: withHost({ Memory: 1000 }),
    status: 400,
    message: /Minimum memory limit/,
  },
  {
    title: 'more CPUs than there are',
    call: withHost({ NanoCpus: 1e13 }),
    status: 400,
    message: /CPUs is from 0\.01/,
  },
  {
    title: 'a mount without a place',
    call: withHost({ Mounts: [{ Type: 'bind', Source: '/tmp' }] }),
    status: 400,
    message: /Target must not be empty/,
  },
  {
    title: 'a mount of what is not there',
    call: withHost({ Mounts: [{ Type: 'bind', Source: '/no/such/folder', Target: '/x' }] }),
    status: 400,
    message: /\/no\/such\/folder/,
  },
  {
    title: 'an unknown capability',
    call: withHost({ CapAdd: ['CAP_FLY'] }),
    status: 400,
    message: /unknown capability: "CAP_FLY"/,
  },
  {
    title: 'an unknown isolation',
    call: withHost({ Isolation: 'hyperv' }),
    status: 400,
    message: /Invalid isolation: hyperv/,
  },
  {
    title: 'an unknown runtime',
    call: withHost({ Runtime: 'kata' }),
    status: 400,
    message: /runtime name: kata/,
  },
  {
    title: 'a port of a protocol that cannot be published',
    call: withHost({ PortBindings: { '80/sctp': [{ HostPort: '80' }] } }),
    status: 501,
    message: /port 80\/sctp cannot be published: protocols are tcp and udp/,
  },
  {
    title: 'a policy that cannot be read',
    call: [
      'POST',
      '/containers/create',
      { body: { Image: 'busybox', Labels: { 'berth.policy': 'allow all' } } },
    ],
    status: 400,
    message: /policy rule 1, "allow all"/,
  },
  {
    title: 'a network that is not there',
    call: withHost({ NetworkMode: 'no-such-net' }),
    status: 404,
    message: /network no-such-net not found/,
  },
  {
    title: 'an unknown workload',
    call: ['POST', '/containers/no-such-box/start'],
    status: 404,
    message: /No such container: no-such-box/,
  },
  {
    title: 'a kill of what never ran',
    call: ['POST', '/containers/stopped/kill'],
    status: 409,
    message: /is not running/,
  },
  {
    title: 'a kill of what has ended',
    call: ['POST', '/containers/ended/kill?signal=TERM'],
    status: 409,
    message: /is not running/,
  },
  {
    title: 'a signal that is none',
    call: ['POST', '/containers/running/kill?signal=NOPE'],
    status: 400,
    message: /Invalid signal: NOPE/,
  },
  {
    title: 'a pause of what does not run',
    call: ['POST', '/containers/ended/pause'],
    status: 409,
    message: /is not running/,
  },
  {
    title: 'a removal of what runs',
    call: ['DELETE', '/containers/running'],
    status: 409,
    message: /[0-9a-f]{64}/,
  },
  {
    title: 'a name taken from another',
    call: ['POST', '/containers/stopped/rename?name=running'],
    status: 409,
    message: /already in use/,
  },
  {
    title: 'an empty new name',
    call: ['POST', '/containers/stopped/rename?name='],
    status: 400,
    message: /name/i,
  },
  {
    title: 'an exec in what does not run',
    call: ['POST', '/containers/ended/exec', { body: { Cmd: ['true'] } }],
    status: 409,
    message: /is not running/,
  },
  {
    title: 'an exec of nothing',
    call: ['POST', '/containers/running/exec', { body: { Cmd: [] } }],
    status: 400,
    message: /No exec command specified/,
  },
  {
    title: 'an unknown exec',
    call: ['POST', '/exec/no-such-exec/start', { body: {} }],
    status: 404,
    message: /No such exec instance: no-such-exec/,
  },
  {
    title: 'an unknown condition to wait for',
    call: ['POST', '/containers/running/wait?condition=soon'],
    status: 400,
    message: /condition: "soon"/,
  },
  {
    title: 'logs of no stream',
    call: ['GET', '/containers/running/logs'],
    status: 400,
    message: /choose at least one stream/,
  },
  {
    title: 'logs since no time',
    call: ['GET', '/containers/running/logs?stdout=1&since=yesterday'],
    status: 400,
    message: /'yesterday' is not a time/,
  },
  {
    title: 'an archive of no path',
    call: ['GET', '/containers/running/archive'],
    status: 400,
    message: /path cannot be empty/,
  },
  {
    title: 'an archive of what is not there',
    call: ['GET', '/containers/running/archive?path=/no/such'],
    status: 404,
    message: /\/no\/such/,
  },
  {
    title: 'a tar that is none',
    call: ['PUT', '/containers/running/archive?path=/tmp', { body: 'not a tar', type: 'application/x-tar' }],
    status: 400,
    message: /./,
  },
  {
    title: 'a size that is none',
    call: ['POST', '/containers/running/resize?h=x&w=1'],
    status: 400,
    message: /invalid h: 'x'/,
  },
  {
    title: 'filters that are none',
    call: ['GET', '/containers/json?filters=x'],
    status: 400,
    message: /filters/,
  },
  {
    title: 'an unknown filter',
    call: ['GET', `/containers/json?filters=${encodeURIComponent('{"bad":["x"]}')}`],
    status: 400,
    message: /filter: 'bad'/,
  },
  {
    title: 'an unknown image',
    call: ['GET', '/images/no-such-image/json'],
    status: 404,
    message: /No such image: no-such-image/,
  },
  {
    title: 'an image removed while it is used',
    call: ['DELETE', '/images/busybox'],
    status: 409,
    message: /conflict/i,
  },
  {
    title: 'a tag that is none',
    call: ['POST', '/images/busybox/tag?repo=UPPER&tag=1'],
    status: 400,
    message: /must be lowercase/,
  },
  {
    title: 'an archive that is no image',
    call: ['POST', '/images/load', { body: 'not an image', type: 'application/x-tar' }],
    status: 400,
    message: /./,
  },
  {
    title: 'a base that is none',
    call: ['POST', '/berth/v1/images/create', { body: { base: 'windows' } }],
    status: 400,
    message: /"windows"; use busybox or debian/,
  },
  {
    title: 'a comparison that is none',
    call: ['POST', '/berth/v1/compare', { body: { runs: 0 } }],
    status: 400,
    message: /runs must be a whole number/,
  },
  {
    title: 'an unknown volume',
    call: ['DELETE', '/volumes/no-such-volume'],
    status: 404,
    message: /no-such-volume/,
  },
  {
    title: 'a network of a driver that is not there',
    call: ['POST', '/networks/create', { body: { Name: 'x', Driver: 'overlay' } }],
    status: 404,
    message: /network driver overlay not found/,
  },
  {
    title: 'a network with a name that cannot be',
    call: ['POST', '/networks/create', { body: { Name: 'a b' } }],
    status: 400,
    message: /invalid network name/,
  },
  { title: 'a swarm', call: ['GET', '/swarm'], status: 503, message: /not a swarm manager/ },
  { title: 'a build', call: ['POST', '/build'], status: 501, message: /building images is not supported/ },
];

describe('the API refuses', () => {
  let daemon: ApiDaemon;

  before(async () => {
    daemon = await startApiDaemon();
    for (const name of ['stopped', 'ended', 'running']) {
      const Cmd = name === 'running' ? ['sleep', '100000'] : ['true'];
      const made = await daemon.call('POST', `/containers/create?name=${name}`, {
        body: { Image: 'busybox', Cmd },
      });
      assert.equal(made.status, 201, made.text);
      if (name === 'stopped') continue;
      assert.equal((await daemon.call('POST', `/containers/${name}/start`)).status, 204);
    }
    await daemon.call('POST', '/containers/ended/wait');
  });
  after(async () => await daemon[Symbol.asyncDispose]());

  for (const { title, call, status, message } of FAULTS)
    test(title, async () => {
      const answer = await daemon.call(...call);
      assert.equal(answer.status, status, answer.text);
      assert.match(answer.json<{ message: string }>().message, message);
    });

  test('what is already so is not modified', async () => {
    assert.equal((await daemon.call('POST', '/containers/running/start')).status, 304);
    assert.equal((await daemon.call('POST', '/containers/ended/stop')).status, 304);
  });

  test('a command that does not exist, with the exit status that a shell would give', async () => {
    const body = { Image: 'busybox', Cmd: ['no-such-command'] };
    const { Id } = (await daemon.call('POST', '/containers/create', { body })).json<{ Id: string }>();
    const answer = await daemon.call('POST', `/containers/${Id}/start`);
    assert.equal(answer.status, 400, answer.text);
    const { message, exitStatus } = answer.json<{ message: string; exitStatus: number }>();
    assert.equal(exitStatus, 127);
    assert.match(message, /no-such-command.*executable file not found/);
    const inspected = (await daemon.call('GET', `/containers/${Id}/json`)).json<{
      State: { ExitCode: number };
    }>();
    assert.equal(inspected.State.ExitCode, 127);
  });

  test('bytes that are no HTTP, and goes on', async () => {
    const socket = connect(daemon.socketPath);
    socket.end('\0\x01\x02 nonsense\r\n\r\n');
    socket.resume();
    await once(socket, 'close');
    assert.equal((await daemon.call('GET', '/_ping')).text, 'OK');
  });

  test('nothing by ending itself: it complains of no failure of its own', () => {
    assert.equal(daemon.complaints(), '');
  });
});
