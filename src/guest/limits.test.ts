import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { SHIM_MS } from './limits.ts';

/** The number of a definition, or of what follows the text, in a file of the supervisor. */
async function numberIn(file: string, before: string): Promise<number> {
  const text = await readFile(new URL(`../../shim/${file}`, import.meta.url), 'utf8');
  const at = text.indexOf(before);
  assert.ok(at >= 0, `${file} has no ${before}`);
  return Number.parseInt(text.slice(at + before.length), 10);
}

describe('the limits of a supervisor', () => {
  it('are known to the daemon, whose own must not be shorter', async () => {
    assert.equal(await numberIn('vm.c', '#define PATIENCE_MS '), SHIM_MS.patience);
    assert.equal(await numberIn('vm.c', '#define BOOT_DEADLINE_MS (patience_ms * '), 2);
    assert.equal(await numberIn('vm.c', '#define RESTORE_DEADLINE_MS (patience_ms / '), 3);
    assert.equal(await numberIn('vm.c', '#define SHUTDOWN_DEADLINE_MS (patience_ms / '), 3);
    assert.equal(await numberIn('vm-channel.c', '#define SLOWER '), 2);
    assert.equal((await numberIn('launch.c', '#define LIMIT_S ')) * 1000, SHIM_MS.runtime);
    assert.equal(await numberIn('vm-machine.c', '#define KILL_LIMIT_MS '), SHIM_MS.kill);
    assert.equal(await numberIn('supervisor.c', 'conn_flush_all('), SHIM_MS.flush);
    assert.ok(SHIM_MS.runtime <= SHIM_MS.patience, 'a start waits for a runtime as for a guest');
  });
});
