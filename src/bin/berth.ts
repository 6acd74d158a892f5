// The command line program: hands the process over to src/cli.

import { main } from '../cli/index.ts';

process.exit(
  await main({
    argv: process.argv.slice(2),
    env: process.env,
    // Compiled, argv[1] is inside the program's own archive; the program is the executable then.
    programPath: import.meta.filename.startsWith('/$bunfs') ? process.execPath : import.meta.filename,
    startDetached: async ({ file, args, env, logFd }) => {
      const { spawnDetached } = await import('../host/process.ts');
      const child = spawnDetached(file, args, { env, cwd: '/', stdio: ['ignore', logFd, logFd] });
      const exit = child.exit.then(
        ({ code, signal }) => (signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`),
        (error: unknown) => `could not be started: ${error instanceof Error ? error.message : error}`,
      );
      return { exit };
    },
    setTerminal: async (settings) => {
      const { spawnDetached } = await import('../host/process.ts');
      await spawnDetached('stty', settings, { stdio: [0, 'ignore', 'ignore'] }).exit.catch(() => {});
    },
    runQuietly: async (file, args) => {
      const { run } = await import('../host/process.ts');
      await run(file, args);
    },
    runForeground: async (file, args, env) => {
      const { spawnDetached } = await import('../host/process.ts');
      const child = spawnDetached(file, args, { env, stdio: [0, 1, 2] });
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) {
        process.on(signal, () => process.kill(child.pid, signal));
      }
      const alive = setInterval(() => {}, 2 ** 30);
      const { code } = await child.exit.finally(() => clearInterval(alive));
      return code ?? 1;
    },
  }),
);
