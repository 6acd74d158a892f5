import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyChanges } from './changes.ts';

test('instructions change the configuration as in a Dockerfile', () => {
  const config = applyChanges({ Env: ['PATH=/bin', 'A=0'] }, [
    'CMD ["a", "b c"]',
    'entrypoint exec me',
    'ENV A=1 B="two words" C=\\"x',
    'ENV D a single value',
    'LABEL one=1 "two words"=2',
    'EXPOSE 80 53/udp',
    'VOLUME ["/data"]',
    'VOLUME /more /andmore',
    'USER 1000:1000',
    'WORKDIR /srv',
    'WORKDIR app',
    'STOPSIGNAL SIGINT',
  ]);
  assert.deepEqual(config, {
    Env: ['PATH=/bin', 'A=1', 'B=two words', 'C="x', 'D=a single value'],
    Cmd: ['a', 'b c'],
    Entrypoint: ['/bin/sh', '-c', 'exec me'],
    Labels: { one: '1', 'two words': '2' },
    ExposedPorts: { '80/tcp': {}, '53/udp': {} },
    Volumes: { '/data': {}, '/more': {}, '/andmore': {} },
    User: '1000:1000',
    WorkingDir: '/srv/app',
    StopSignal: 'SIGINT',
  });
});

test('other instructions and wrong values are refused by name', () => {
  assert.throws(() => applyChanges({}, ['RUN make']), /"RUN make" is not a change/);
  assert.throws(() => applyChanges({}, ['CMD']), /is not a change/);
  assert.throws(() => applyChanges({}, ['EXPOSE http']), /http is not a port/);
  assert.throws(() => applyChanges({}, ['ENV A']), /A has no value/);
});
