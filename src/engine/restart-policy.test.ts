import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextDelayMs, shouldRestart, shouldResume } from './restart-policy.ts';

const ending = { exitCode: 1, manuallyStopped: false, restartCount: 0 };
const policy = (name: 'no' | 'always' | 'unless-stopped' | 'on-failure', maximumRetryCount = 0) => ({
  name,
  maximumRetryCount,
});

test('each policy restarts what it says', () => {
  assert.equal(shouldRestart(policy('no'), ending), false);
  assert.equal(shouldRestart(policy('always'), { ...ending, exitCode: 0 }), true);
  assert.equal(shouldRestart(policy('unless-stopped'), ending), true);
  assert.equal(shouldRestart(policy('on-failure'), { ...ending, exitCode: 0 }), false);
  assert.equal(shouldRestart(policy('on-failure', 3), { ...ending, restartCount: 2 }), true);
  assert.equal(shouldRestart(policy('on-failure', 3), { ...ending, restartCount: 3 }), false);
});

test('what the user stopped stays so, but for always at the start of the daemon', () => {
  const stopped = { ...ending, manuallyStopped: true };
  for (const name of ['always', 'unless-stopped', 'on-failure'] as const)
    assert.equal(shouldRestart(policy(name), stopped), false);
  assert.equal(shouldResume(policy('always'), stopped), true);
  assert.equal(shouldResume(policy('unless-stopped'), stopped), false);
});

test('the delay doubles up to a minute and starts anew after ten good seconds', () => {
  const delays = [0];
  for (let count = 0; count < 12; count++) delays.push(nextDelayMs(delays.at(-1) ?? 0, 50));
  assert.deepEqual(delays.slice(1, 5), [100, 200, 400, 800]);
  assert.equal(delays.at(-1), 60_000);
  assert.equal(nextDelayMs(60_000, 10_000), 100);
});
