// Loaded before each test file. With --test-force-exit Node ends the process without waiting for what it still has to
// write to the runner, so that results got lost and failures with them (nodejs/node issue 64833): writes wait instead.

interface Blocking {
  readonly _handle?: { setBlocking?(on: boolean): void };
}

(process.stdout as unknown as Blocking)._handle?.setBlocking?.(true);
