// docker run: output, input, exit codes, and the options that shape the process.

import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectOk, lines, type Scenario } from '../scenario.ts';

const BOOTS = 'boots a machine of its own';

export const runScenarios: readonly Scenario[] = [
  {
    title: 'run passes output, errors and the exit code through, and --rm leaves nothing',
    area: 'run',
    covers: 'run --rm, exit codes, stdout and stderr apart',
    run: async ({ run, docker, name }) => {
      const box = name('out');
      const result = await run([
        '--rm',
        '--name',
        box,
        'busybox',
        'sh',
        '-c',
        'echo out; echo err >&2; exit 3',
      ]);
      assert.deepEqual(result, { code: 3, stdout: 'out\n', stderr: 'err\n' });
      assert.equal(expectOk(await docker(['ps', '-aq', '--filter', `name=${box}`])), '');
    },
  },
  {
    title: 'run -i hands over all of a large input and its end',
    area: 'run',
    covers: 'run -i with piped input',
    run: async ({ run }) => {
      const input = Buffer.alloc(3_000_000, 'berth ');
      const output = expectOk(await run(['--rm', '-i', 'busybox', 'wc', '-c'], { input }));
      assert.equal(output.trim(), '3000000');
    },
  },
  {
    title: 'run sets environment, folder, user, host name, entrypoint and labels',
    area: 'run',
    covers: 'run -e --env-file -w -u --hostname --entrypoint --label --init',
    run: async ({ run, folder }) => {
      await writeFile(join(folder, 'env'), 'B=from file\n');
      const script = 'echo "$A|$B|$(pwd)|$(id -u):$(id -g)|$(hostname)|$1"; cat /proc/1/comm';
      const flags = [
        '-e',
        'A=1',
        '--env-file',
        join(folder, 'env'),
        '-w',
        '/work',
        '-u',
        '1000:1000',
        '--init',
      ];
      const rest = [
        '--hostname',
        'box',
        '--label',
        'a=b',
        '--entrypoint',
        'sh',
        'busybox',
        '-c',
        script,
        'x',
        'arg',
      ];
      const [first, init] = lines(expectOk(await run(['--rm', ...flags, ...rest])));
      assert.equal(first, '1|from file|/work|1000:1000|box|arg');
      assert.notEqual(init, 'sh');
    },
  },
  {
    title: 'run mounts folders, volumes and tmpfs, and keeps the root read-only',
    area: 'run',
    covers: 'run -v (bind, volume, :ro) --mount --tmpfs --read-only',
    run: async ({ run, docker, folder, name }) => {
      const source = join(folder, 'bind');
      await mkdir(source, { recursive: true });
      await writeFile(join(source, 'in'), 'from the host');
      const volume = name('vol');
      const script = `cat /b/in; echo back > /b/out; echo kept > /v/file; echo x > /t/x && echo tmpfs
        (echo x > /r/x) 2>/dev/null || echo ro-bind; (echo x > /x) 2>/dev/null || echo ro-root`;
      const mounts = ['-v', `${source}:/b`, '-v', `${volume}:/v`, '--tmpfs', '/t:size=1m'];
      const more = ['--mount', `type=bind,source=${source},target=/r,readonly`, '--read-only'];
      const output = expectOk(await run(['--rm', ...mounts, ...more, 'busybox', 'sh', '-c', script]));
      assert.equal(output, 'from the hosttmpfs\nro-bind\nro-root');
      assert.equal(await readFile(join(source, 'out'), 'utf8'), 'back\n');
      const path = expectOk(await docker(['volume', 'inspect', '-f', '{{.Mountpoint}}', volume]));
      assert.equal(await readFile(join(path, 'file'), 'utf8'), 'kept\n');
      expectOk(await docker(['volume', 'rm', volume]));
    },
  },
  {
    title: 'run limits and confines the process as asked',
    area: 'run',
    covers: 'run -m --cpus --pids-limit --ulimit --cap-drop --cap-add --security-opt',
    run: async ({ run, docker, name }) => {
      const box = name('limits');
      const limits = ['-m', '128m', '--cpus', '1', '--pids-limit', '100', '--ulimit', 'nofile=100:200'];
      const caps = [
        '--cap-drop',
        'ALL',
        '--cap-add',
        'NET_BIND_SERVICE',
        '--security-opt',
        'no-new-privileges',
      ];
      const script = 'ulimit -n; grep -E "CapEff|NoNewPrivs" /proc/self/status';
      const output = expectOk(await run(['--name', box, ...limits, ...caps, 'busybox', 'sh', '-c', script]));
      assert.deepEqual(lines(output), ['100', 'CapEff:\t0000000000000400', 'NoNewPrivs:\t1']);
      const format = '{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}';
      assert.equal(expectOk(await docker(['inspect', '-f', format, box])), '134217728 1000000000 100');
      expectOk(await docker(['rm', box]));
    },
  },
  {
    title: 'run -it gives the process a terminal',
    area: 'run',
    covers: 'run -it',
    run: async ({ run }) => {
      const result = await run(['--rm', '-it', 'busybox', 'sh', '-c', 'tty; echo hi; exit 4'], {
        terminal: true,
      });
      assert.match(expectOk(result, 4), /\/dev\/(pts\/\d+|console)\n[\s\S]*hi/);
    },
  },
  {
    title: 'run ends with 127 for a missing command and 126 for one that is no program',
    area: 'run',
    covers: 'exit codes 125, 126, 127',
    vmOneClient: BOOTS,
    run: async ({ run, docker, name }) => {
      const missing = await run(['--rm', 'busybox', 'no-such-command']);
      assert.equal(missing.code, 127, missing.stderr);
      assert.match(missing.stderr, /no-such-command/);
      const folder = await run(['--rm', 'busybox', '/etc/passwd']);
      assert.equal(folder.code, 126, folder.stderr);
      const refused = await docker(['run', '--isolation', 'nonsense', 'busybox', 'true']);
      assert.equal(refused.code, 125, refused.stderr);
      assert.match(refused.stderr, /Invalid isolation: nonsense/);
      const ports = await run(['--name', name('ports'), '-p', '80:80/sctp', 'busybox', 'true']);
      assert.equal(ports.code, 125);
      assert.match(ports.stderr, /port 80\/sctp cannot be published/);
    },
  },
  {
    title: 'a name can be used once only',
    area: 'run',
    covers: '--name conflicts',
    run: async ({ docker, run, name, isolation }) => {
      const box = name('twice');
      expectOk(await docker(['create', '--isolation', isolation, '--name', box, 'busybox', 'true']));
      const again = await run(['--name', box, 'busybox', 'true']);
      assert.equal(again.code, 125);
      assert.match(again.stderr, new RegExp(`The container name "/${box}" is already in use by container`));
      expectOk(await docker(['rm', box]));
    },
  },
  {
    title: 'an image that nowhere exists ends in 125 and a message that names it',
    area: 'run',
    covers: 'run of an unknown image',
    once: true,
    run: async ({ docker }) => {
      const result = await docker(['run', '--rm', '127.0.0.1:1/no/such:tag', 'true']);
      assert.equal(result.code, 125);
      assert.match(result.stderr, /127\.0\.0\.1:1/);
    },
  },
];
