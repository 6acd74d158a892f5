// Images, volumes, networks and the daemon itself: nothing here depends on the isolation.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expectOk, lines, type Scenario } from '../scenario.ts';

export const hostScenarios: readonly Scenario[] = [
  {
    title: 'images are listed, described, tagged and removed',
    area: 'images',
    covers: 'images, image inspect, history, tag, rmi, filters, formats',
    once: true,
    run: async ({ docker, name }) => {
      const tag = `${name('tag')}:v1`;
      expectOk(await docker(['tag', 'busybox', tag]));
      const format = ['--format', '{{.Repository}}:{{.Tag}}'];
      assert.equal(expectOk(await docker(['images', '--filter', `reference=${tag}`, ...format])), tag);
      assert.equal(expectOk(await docker(['images', '-q', 'no-such-image'])), '');
      const told = expectOk(
        await docker(['image', 'inspect', '-f', '{{.Os}}/{{.Architecture}} {{json .Config.Cmd}}', tag]),
      );
      assert.match(told, /^linux\/\w+ \["sh"\]$/);
      assert.equal(lines(expectOk(await docker(['history', '-q', tag]))).length, 1);
      const removed = expectOk(await docker(['rmi', tag]));
      assert.equal(removed, `Untagged: ${tag}`);
      assert.match((await docker(['rmi', tag])).stderr, /No such image/);
    },
  },
  {
    title: 'an image in use is not removed',
    area: 'images',
    covers: 'rmi conflicts',
    once: true,
    run: async ({ docker, name }) => {
      const box = name('using');
      const image = name('image');
      const tar = spawnSync('tar', ['-C', '/usr/share', '-c', 'doc/tar']).stdout;
      const id = expectOk(await docker(['import', '-', image], { input: tar }));
      expectOk(await docker(['create', '--name', box, image, 'true']));
      const refused = await docker(['rmi', id]);
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /conflict/i);
      expectOk(await docker(['rm', box]));
      expectOk(await docker(['rmi', image]));
    },
  },
  {
    title: 'save, load and import carry images through files',
    area: 'images',
    covers: 'save, load, import -c -m',
    once: true,
    run: async ({ docker, folder, name }) => {
      const path = join(folder, 'saved.tar');
      const tag = `${name('saved')}:1`;
      expectOk(await docker(['tag', 'busybox', tag]));
      expectOk(await docker(['save', '-o', path, tag]));
      expectOk(await docker(['rmi', tag]));
      assert.match(expectOk(await docker(['load', '-i', path])), new RegExp(`Loaded image: ${tag}`));
      const run = await docker(['run', '--rm', tag, 'echo', 'loaded']);
      assert.equal(expectOk(run), 'loaded');
      expectOk(await docker(['rmi', tag]));
      const box = name('flat');
      const flat = `${name('flat')}:1`;
      expectOk(await docker(['create', '--name', box, 'busybox', 'true']));
      const tar = join(folder, 'flat.tar');
      expectOk(await docker(['export', '-o', tar, box]));
      expectOk(await docker(['import', '-c', 'CMD ["echo", "flat"]', '-m', 'note', tar, flat]));
      assert.equal(expectOk(await docker(['run', '--rm', flat])), 'flat');
      expectOk(await docker(['rm', box]));
      expectOk(await docker(['rmi', flat]));
      const broken = await docker(['load'], { input: 'this is not an archive' });
      assert.equal(broken.code, 1);
    },
  },
  {
    title: 'volumes are made, listed, described, removed and pruned',
    area: 'volumes',
    covers: 'volume create, ls, inspect, rm, prune',
    once: true,
    run: async ({ docker, name }) => {
      const volume = name('volume');
      assert.equal(expectOk(await docker(['volume', 'create', '--label', 'a=b', volume])), volume);
      assert.equal(expectOk(await docker(['volume', 'ls', '-q', '--filter', 'label=a=b'])), volume);
      const format = '{{.Name}} {{.Driver}} {{.Scope}} {{index .Labels "a"}}';
      assert.equal(
        expectOk(await docker(['volume', 'inspect', '-f', format, volume])),
        `${volume} local local b`,
      );
      const box = name('user');
      expectOk(await docker(['create', '--name', box, '-v', `${volume}:/v`, 'busybox']));
      assert.match((await docker(['volume', 'rm', volume])).stderr, /in use/);
      expectOk(await docker(['rm', box]));
      expectOk(await docker(['volume', 'rm', volume]));
      assert.match((await docker(['volume', 'inspect', volume])).stderr, /no such volume/i);
      expectOk(await docker(['run', '--rm', '-v', '/anonymous', 'busybox', 'true']));
      expectOk(await docker(['volume', 'prune', '-f']));
    },
  },
  {
    title: 'networks are made, listed, described, removed and pruned',
    area: 'networks',
    covers: 'network create, ls, inspect, rm, prune',
    once: true,
    run: async ({ docker, name, octet }) => {
      const [own, other] = [name('net'), name('other')];
      const [subnet, gateway] = [`10.${octet}.1.0/24`, `10.${octet}.1.9`];
      const flags = ['--subnet', subnet, '--gateway', gateway, '--label', 'a=b'];
      assert.match(expectOk(await docker(['network', 'create', ...flags, own])), /^[0-9a-f]{64}$/);
      const names = expectOk(await docker(['network', 'ls', '--format', '{{.Name}} {{.Driver}}']));
      for (const line of ['host host', 'none null', 'bridge bridge', `${own} bridge`])
        assert.ok(lines(names).includes(line), names);
      assert.equal(expectOk(await docker(['network', 'inspect', '-f', '{{.Driver}}', 'none'])), 'null');
      const config = '{{range .IPAM.Config}}{{.Subnet}} {{.Gateway}}{{end}}';
      assert.equal(expectOk(await docker(['network', 'inspect', '-f', config, own])), `${subnet} ${gateway}`);
      assert.equal(expectOk(await docker(['network', 'ls', '-q', '--filter', 'label=a=b'])).length, 12);
      assert.match((await docker(['network', 'create', ...flags, other])).stderr, /overlaps/);
      assert.match((await docker(['network', 'inspect', other])).stderr, /not found|No such network/i);
      assert.equal(expectOk(await docker(['network', 'rm', own])), own);
      expectOk(await docker(['network', 'create', other]));
      assert.match(
        expectOk(await docker(['network', 'prune', '-f', '--filter', 'label!=a'])),
        new RegExp(other),
      );
    },
  },
  {
    title: 'version, info and disk usage print as with Docker',
    area: 'system',
    covers: 'version, info, system df, system df -v',
    once: true,
    run: async ({ docker }) => {
      const version = expectOk(
        await docker(['version', '--format', '{{.Server.Os}} {{.Server.APIVersion}}']),
      );
      assert.match(version, /^linux 1\.\d+$/);
      const info = expectOk(await docker(['info', '--format', '{{.OSType}} {{.Driver}} {{.ServerVersion}}']));
      assert.match(info, /^linux overlay2 \d+\.\d+\.\d+$/);
      assert.match(expectOk(await docker(['info'])), /Isolation vm/);
      assert.match(expectOk(await docker(['system', 'df'])), /^Images\s+[1-9]/m);
      assert.match(expectOk(await docker(['system', 'df', '-v'])), /busybox/);
    },
  },
  {
    title: 'prune removes what has ended and nothing else',
    area: 'system',
    covers: 'container prune, image prune, network prune, system prune',
    once: true,
    run: async ({ docker, name }) => {
      const box = name('ended');
      const kept = name('kept');
      expectOk(await docker(['run', '--name', box, '--label', 'prune=me', 'busybox', 'true']));
      expectOk(await docker(['create', '--name', kept, 'busybox', 'true']));
      expectOk(await docker(['container', 'prune', '-f', '--filter', 'label=prune=me']));
      const left = expectOk(await docker(['ps', '-a', '--format', '{{.Names}}']));
      assert.ok(lines(left).includes(kept) && !lines(left).includes(box), left);
      expectOk(await docker(['rm', kept]));
      expectOk(await docker(['image', 'prune', '-f']));
      expectOk(await docker(['network', 'prune', '-f']));
      expectOk(await docker(['image', 'inspect', 'busybox']));
    },
  },
  {
    title: 'what Berth has not says so: swarm, build, push, search',
    area: 'system',
    covers: 'refusals of swarm, build, push, search, login',
    once: true,
    run: async ({ docker, folder }) => {
      assert.match((await docker(['service', 'ls'])).stderr, /not a swarm manager/);
      assert.match((await docker(['push', 'busybox'])).stderr, /not supported/);
      assert.match((await docker(['search', 'busybox'])).stderr, /not supported/);
      assert.notEqual((await docker(['build', folder])).code, 0);
    },
  },
];

export const eventScenarios: readonly Scenario[] = [
  {
    title: 'events tell the life of a workload, in order, between two moments',
    area: 'events',
    covers: 'events --since --until --filter --format',
    run: async ({ run, docker, name }) => {
      const box = name('events');
      const since = String(Math.floor(Date.now() / 1000) - 1);
      expectOk(await run(['--rm', '--name', box, 'busybox', 'true']));
      const window = ['--since', since, '--until', String(Math.ceil(Date.now() / 1000) + 1)];
      const filters = ['--filter', `container=${box}`, '--format', '{{.Action}} {{.Actor.Attributes.name}}'];
      const told = lines(expectOk(await docker(['events', ...window, ...filters])));
      const actions = told.map((line) => line.split(' ')[0]).filter((action) => action !== 'attach');
      assert.deepEqual(actions, ['create', 'start', 'die', 'destroy']);
    },
  },
];
