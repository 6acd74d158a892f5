// Looking into a running workload and working in it: exec, cp, top, stats, diff, export. All share one.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expectOk, lines, type Scenario } from '../scenario.ts';

export const insideScenarios: readonly Scenario[] = [
  {
    title: 'exec runs a command with its own environment, folder, user, input and exit code',
    area: 'exec',
    covers: 'exec, exec -i -e -w -u, exit codes',
    run: async ({ shared, docker }) => {
      const box = await shared();
      const script = 'echo "$A $(pwd) $(id -u):$(id -g)"; echo err >&2; exit 5';
      const flags = ['-e', 'A=1', '-w', '/tmp', '-u', '1000:1000'];
      const result = await docker(['exec', ...flags, box, 'sh', '-c', script]);
      assert.deepEqual(result, { code: 5, stdout: '1 /tmp 1000:1000\n', stderr: 'err\n' });
      const input = Buffer.alloc(1_000_000, 'x');
      assert.equal(expectOk(await docker(['exec', '-i', box, 'wc', '-c'], { input })).trim(), '1000000');
      assert.equal((await docker(['exec', box, 'no-such-command'])).code, 127);
      assert.equal((await docker(['exec', box, '/etc/passwd'])).code, 126);
    },
  },
  {
    title: 'exec -it gives the command a terminal, exec -d leaves it alone',
    area: 'exec',
    covers: 'exec -it, exec -d',
    run: async ({ shared, docker }) => {
      const box = await shared();
      const result = await docker(['exec', '-it', box, 'sh', '-c', 'tty; exit 7'], { terminal: true });
      assert.match(expectOk(result, 7), /\/dev\/(pts\/\d+|console)/);
      const gate = 'mkfifo /tmp/gate 2>/dev/null; echo through > /tmp/gate';
      expectOk(await docker(['exec', '-d', box, 'sh', '-c', gate]));
      const read = 'while [ ! -p /tmp/gate ]; do sleep 0.1; done; cat /tmp/gate';
      assert.equal(expectOk(await docker(['exec', box, 'sh', '-c', read])), 'through');
    },
  },
  {
    title: 'ps finds workloads by name, label, status, image and isolation, and formats them',
    area: 'ps',
    covers: 'ps -a -q --filter --format --no-trunc --last --size',
    run: async ({ shared, docker, isolation }) => {
      const box = await shared();
      const filters = [
        '--filter',
        `name=${box}`,
        '--filter',
        'label=tier=shared',
        '--filter',
        'status=running',
      ];
      const format = '{{.Names}}|{{.Image}}|{{.State}}|{{.Label "tier"}}|{{.Command}}';
      const listed = expectOk(await docker(['ps', '--no-trunc', ...filters, '--format', format]));
      assert.equal(listed, `${box}|busybox|running|shared|"sleep 100000"`);
      const byImage = ['ps', '-q', '--filter', 'ancestor=busybox', '--filter', `isolation=${isolation}`];
      assert.match(expectOk(await docker([...byImage, '--filter', `name=${box}`])), /^[0-9a-f]{12}$/);
      assert.equal(expectOk(await docker(['ps', '-q', '--filter', 'status=dead'])), '');
      assert.match(expectOk(await docker(['ps', '-a', '--size', '--last', '1'])), /virtual/);
      assert.match(expectOk(await docker(['ps', '--filter', `name=${box}`, '--format', 'json'])), /./);
    },
  },
  {
    title: 'inspect tells what was asked for, isolation included',
    area: 'inspect',
    covers: 'inspect --format, --type, --size',
    run: async ({ shared, docker, isolation }) => {
      const box = await shared();
      const format =
        '{{.State.Status}} {{.HostConfig.Isolation}} {{.Config.Image}} {{json .Config.Cmd}} {{.Name}} {{.Path}}';
      const told = expectOk(await docker(['inspect', '--type', 'container', '-f', format, box]));
      assert.equal(told, `running ${isolation} busybox ["sleep","100000"] /${box} sleep`);
      const [whole] = JSON.parse(expectOk(await docker(['inspect', '--size', box]))) as [
        Record<string, unknown>,
      ];
      assert.equal(typeof whole['SizeRootFs'], 'number');
      const missing = await docker(['inspect', 'no-such-thing']);
      assert.equal(missing.code, 1);
      assert.match(missing.stderr, /no such (object|container)/i);
    },
  },
  {
    title: 'stats and top show what runs inside',
    area: 'stats',
    covers: 'stats --no-stream --format, top',
    run: async ({ shared, docker }) => {
      const box = await shared();
      const format = '{{.Name}}|{{.CPUPerc}}|{{.MemUsage}}|{{.PIDs}}';
      const figures = expectOk(await docker(['stats', '--no-stream', '--format', format, box]));
      assert.match(
        figures,
        new RegExp(`^${box}\\|\\d+\\.\\d\\d%\\|[\\d.]+[KMG]?i?B / [\\d.]+[MG]iB\\|\\d+$`),
      );
      assert.match(expectOk(await docker(['top', box])), /sleep 100000/);
    },
  },
  {
    title: 'top shows the columns that are asked for',
    area: 'stats',
    covers: 'top with ps options',
    absent: { vm: 'the guest agent lists processes itself, with the columns of ps -ef only' },
    run: async ({ shared, docker }) => {
      const told = expectOk(await docker(['top', await shared(), '-o', 'pid,cmd']));
      assert.match(lines(told)[0] ?? '', /PID\s+CMD/);
    },
  },
  {
    title: 'cp copies files and folders both ways, and tar streams',
    area: 'cp',
    covers: 'cp FILE, cp FOLDER, cp - (tar in and out)',
    run: async ({ shared, docker, folder }) => {
      const box = await shared();
      const source = join(folder, 'tree');
      await mkdir(join(source, 'sub'), { recursive: true });
      await writeFile(join(source, 'sub/file'), 'content\n');
      expectOk(await docker(['cp', source, `${box}:/tmp/tree`]));
      assert.equal(expectOk(await docker(['exec', box, 'cat', '/tmp/tree/sub/file'])), 'content');
      const back = join(folder, 'back');
      await rm(back, { recursive: true, force: true });
      expectOk(await docker(['cp', `${box}:/tmp/tree/sub`, back]));
      assert.equal(await readFile(join(back, 'file'), 'utf8'), 'content\n');
      const tar = spawnSync('tar', ['-C', source, '-c', 'sub']).stdout;
      expectOk(await docker(['exec', box, 'mkdir', '-p', '/tmp/unpacked']));
      expectOk(await docker(['cp', '-', `${box}:/tmp/unpacked`], { input: tar }));
      assert.equal(expectOk(await docker(['exec', box, 'cat', '/tmp/unpacked/sub/file'])), 'content');
      const streamed = await docker(['cp', `${box}:/etc/passwd`, '-']);
      assert.match(expectOk(streamed), /^passwd\0/);
      const missing = await docker(['cp', `${box}:/no/such`, folder]);
      assert.equal(missing.code, 1);
      assert.match(missing.stderr, /no\/such/);
    },
  },
  {
    title: 'diff and export show the file system as the workload changed it',
    area: 'diff',
    covers: 'diff, export',
    run: async ({ shared, docker, folder }) => {
      const box = await shared();
      expectOk(await docker(['exec', box, 'sh', '-c', 'echo x > /added; rm -f /etc/group; sync']));
      const changes = lines(expectOk(await docker(['diff', box])));
      assert.ok(changes.includes('A /added'), changes.join('\n'));
      assert.ok(changes.includes('D /etc/group'), changes.join('\n'));
      assert.ok(changes.includes('C /etc'), changes.join('\n'));
      const path = join(folder, 'export.tar');
      expectOk(await docker(['export', '-o', path, box]));
      const listed = spawnSync('tar', ['-tf', path], { encoding: 'utf8' }).stdout;
      assert.match(listed, /^added$/m);
      assert.doesNotMatch(listed, /^etc\/group$/m);
    },
  },
  {
    title: 'commit keeps hidden files and names that are not UTF-8, and drops what was removed',
    area: 'diff',
    covers: 'commit of any name',
    vmOneClient: 'boots a machine of its own',
    run: async ({ run, docker, name }) => {
      const box = name('names');
      const image = `names-of-${box}`.toLowerCase();
      const odd = '"/$(printf "caf\\351")"';
      expectOk(
        await run([
          '--name',
          box,
          'busybox',
          'sh',
          '-c',
          `mkdir /..d; echo 1 > /..d/f; echo 2 > /.h; echo 3 > ${odd}`,
        ]),
      );
      expectOk(await docker(['commit', box, image]));
      expectOk(await docker(['rm', box]));
      const script = `cat /..d/f /.h ${odd}; rm -r /..d /.h ${odd}`;
      assert.equal(expectOk(await run(['--name', box, image, 'sh', '-c', script])), '1\n2\n3');
      expectOk(await docker(['commit', box, `${image}:without`]));
      expectOk(await docker(['rm', box]));
      const left = await run(['--rm', `${image}:without`, 'sh', '-c', 'ls -A / | grep -E "^[.]|caf"']);
      assert.equal(left.stdout, '');
      expectOk(await docker(['rmi', image, `${image}:without`]));
    },
  },
  {
    title: 'commit makes an image of what the workload changed, with another command and a comment',
    area: 'diff',
    covers: 'commit -a -m -c, of a running and of a stopped workload',
    run: async ({ run, docker, name }) => {
      const box = name('committed');
      const script =
        'mkdir /made; echo one > /made/a; ln /made/a /made/b; rm -f /bin/yes; chmod 600 /etc/passwd; echo ok; cat';
      expectOk(await run(['-d', '-i', '--name', box, '-e', 'KEPT=1', 'busybox', 'sh', '-c', script]));
      for (let tries = 0; !(await docker(['logs', box])).stdout.includes('ok') && tries < 100; tries++)
        await delay(50);
      const image = `made-of-${box}`.toLowerCase();
      const change = 'CMD ["sh", "-c", "cat /made/b; ls /bin/yes; ls -l /etc/passwd; echo $KEPT"]';
      const id = expectOk(await docker(['commit', '-a', 'me', '-m', 'with files', '-c', change, box, image]));
      assert.match(id, /^sha256:[0-9a-f]{64}$/);
      const { stdout, stderr } = await docker(['run', '--rm', image]);
      assert.match(stdout, /^one\n-rw------- .*\/etc\/passwd\n1\n$/);
      assert.match(stderr, /\/bin\/yes: No such file/);
      const format = '{{.Author}} {{.Comment}} {{len .RootFS.Layers}}';
      assert.match(expectOk(await docker(['image', 'inspect', '-f', format, image])), /^me .*2$/);
      assert.match(expectOk(await docker(['history', image])), /with files/);
      expectOk(await docker(['kill', box]));
      expectOk(await docker(['wait', box]));
      assert.match(expectOk(await docker(['commit', box, `${image}:stopped`])), /^sha256:/);
      assert.equal(expectOk(await docker(['run', '--rm', `${image}:stopped`, 'cat', '/made/a'])), 'one');
      expectOk(await docker(['rm', box]));
      expectOk(await docker(['rmi', image, `${image}:stopped`]));
      assert.match((await docker(['commit', 'no-such-box'])).stderr, /No such container: no-such-box/);
    },
  },
  {
    title: 'a workload is on networks, found by name there, and reached by a published port',
    area: 'networks',
    covers: 'run --network, --network-alias, --ip, -p; network connect, disconnect; port, inspect, ps',
    run: async ({ docker, name, run, octet }) => {
      const [net, second, box] = [name('net'), name('second'), name('box')];
      expectOk(await docker(['network', 'create', '--subnet', `10.${octet}.0.0/24`, net]));
      expectOk(await docker(['network', 'create', second]));
      const flags = ['--network', net, '--network-alias', 'web', '--ip', `10.${octet}.0.7`, '-p', '80'];
      expectOk(await run(['-d', '--name', box, ...flags, 'busybox', 'httpd', '-f', '-h', '/bin']));
      const address = `{{(index .NetworkSettings.Networks "${net}").IPAddress}}`;
      assert.equal(expectOk(await docker(['inspect', '-f', address, box])), `10.${octet}.0.7`);
      assert.match(expectOk(await docker(['port', box, '80'])), /^127\.0\.0\.1:\d+$/);
      assert.match(expectOk(await docker(['ps', '--filter', `name=${box}`])), /127\.0\.0\.1:\d+->80\/tcp/);
      const ask = [
        '--network',
        net,
        'busybox',
        'sh',
        '-c',
        'until wget -qO- http://web/busybox | head -c 4; do :; done',
      ];
      assert.match(expectOk(await run(['--rm', ...ask])), /ELF/);
      expectOk(await docker(['network', 'connect', second, box]));
      assert.match(expectOk(await docker(['exec', box, 'ip', 'addr'])), /eth1/);
      expectOk(await docker(['network', 'disconnect', second, box]));
      assert.doesNotMatch(expectOk(await docker(['exec', box, 'ip', 'addr'])), /eth1/);
      assert.match((await docker(['network', 'rm', net])).stderr, /has active endpoints/);
      expectOk(await docker(['rm', '-f', box]));
      expectOk(await docker(['network', 'rm', net, second]));
    },
  },
  {
    title: 'what cannot be is refused by name, and port lists nothing',
    area: 'errors',
    covers: 'unknown names, bad signals, double starts, port',
    run: async ({ shared, docker }) => {
      const box = await shared();
      const unknown = await docker(['exec', 'no-such-box', 'true']);
      assert.equal(unknown.code, 1);
      assert.match(unknown.stderr, /No such container: no-such-box/);
      assert.match((await docker(['kill', '-s', 'NOPE', box])).stderr, /[Ii]nvalid signal: NOPE/);
      expectOk(await docker(['start', box]));
      assert.equal(expectOk(await docker(['port', box])), '');
      assert.match((await docker(['rename', box, box])).stderr, /./);
    },
  },
];
