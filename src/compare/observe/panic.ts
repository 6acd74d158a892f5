// A real kernel panic, in a throw-away guest. Never in a container: there it would be the host's own.

import { errorMessage, isBerthError } from '../../core/index.ts';
import type { Engine } from '../../engine/api.ts';
import type { Book } from '../book.ts';
import type { Lab } from '../lab.ts';
import { readBootId } from './evidence.ts';

const PANIC_TIMEOUT_MS = 60_000;

/**
 * Panics the kernel of `victim` and looks what became of the host and of `sibling`. The program that does it refuses
 * to run on a kernel whose boot id is the host's.
 */
export async function recordPanic(book: Book, engine: Engine, victim: Lab, sibling: Lab): Promise<void> {
  const hostBootId = await readBootId();
  try {
    const ended = engine.workloads.wait(victim.id, 'not-running', AbortSignal.timeout(PANIC_TIMEOUT_MS));
    const start = performance.now();
    const [told] = await Promise.allSettled([victim.bench(['panic', hostBootId], { privileged: true })]);
    if (told.status === 'rejected' && refused(told.reason)) throw told.reason;
    const exit = await ended;
    const tookMs = performance.now() - start;
    await sibling.bench(['true']);
    if ((await readBootId()) !== hostBootId) throw new Error('the host was restarted');
    book.fact(
      'isolation.panic',
      'vm',
      exit.reason === 'guest-panic' ? 'its guest only' : 'its instance only',
      {
        detail: `the guest ended after ${Math.round(tookMs)} ms, reported as ${exit.reason ?? `exit code ${exit.code}`}${exit.message === undefined ? '' : ` (${exit.message})`}; the host goes on, and a second guest ran a program afterwards`,
        value: 0,
      },
    );
  } catch (error) {
    book.unknown('isolation.panic', 'vm', `the guest could not be panicked: ${errorMessage(error)}`);
  }
}

/** The program said why it did not do it; a connection that broke says nothing. */
function refused(error: unknown): boolean {
  return isBerthError(error) && /refused|cannot (open|write|read)/.test(error.message);
}

/** From what was found about the kernel and the trigger; nothing is tried. */
export function recordContainerPanic(book: Book): void {
  const kernel = book.cell('isolation.kernel', 'container', 'count');
  const trigger = book.cell('isolation.sysrq', 'container', 'count');
  if (kernel?.kind !== 'fact' || kernel.value !== 0) {
    book.unknown('isolation.panic', 'container', 'not known which kernel it runs on');
    return;
  }
  const path = trigger?.kind === 'fact' ? trigger.text : 'unknown';
  book.fact('isolation.panic', 'container', 'the host and all on it', {
    detail: `it runs on the host’s kernel, so a panic would be the host’s; not tried. The plain way there, /proc/sysrq-trigger: ${path}`,
    value: 1,
  });
}
