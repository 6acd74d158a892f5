// Progress of a pull, load or build: bars on a terminal, one line a change elsewhere.

import type { ProgressMessage } from '../../sdk/types.ts';
import type { Output } from '../output.ts';
import { decimalSize } from './units.ts';

const BAR_WIDTH = 30;
/** Often enough for the eye, seldom enough to cost nothing. */
const REDRAW_MS = 80;

/** Shows messages until they end. Quietly it only waits. Resolves with the last message that had no id. */
export async function showProgress(
  messages: AsyncIterable<ProgressMessage>,
  output: Output,
  options: { readonly quiet?: boolean } = {},
): Promise<string | undefined> {
  const view = options.quiet ? undefined : output.isTerminal ? new BarView(output) : new LineView(output);
  let last: string | undefined;
  try {
    for await (const message of messages) {
      const text = message.stream?.trimEnd() ?? (message.id === undefined ? message.status : undefined);
      if (text !== undefined && text !== '') last = text;
      await view?.show(message);
    }
  } finally {
    await view?.close();
  }
  return last;
}

interface View {
  show(message: ProgressMessage): Promise<void>;
  close(): Promise<void>;
}

/** Each layer's change of state is a line; bytes are not shown. */
class LineView implements View {
  readonly #output: Output;
  readonly #states = new Map<string, string>();

  constructor(output: Output) {
    this.#output = output;
  }

  async show(message: ProgressMessage): Promise<void> {
    const text = message.stream?.trimEnd() ?? message.status ?? '';
    if (text === '') return;
    if (message.id === undefined) return this.#output.line(text);
    if (this.#states.get(message.id) === text) return;
    this.#states.set(message.id, text);
    await this.#output.line(`${message.id}: ${text}`);
  }

  async close(): Promise<void> {}
}

/** One line an id, redrawn in place. */
class BarView implements View {
  readonly #output: Output;
  readonly #lines = new Map<string, string>();
  #drawn = 0;
  #drawnAtMs = 0;
  #stale = false;

  constructor(output: Output) {
    this.#output = output;
  }

  async show(message: ProgressMessage): Promise<void> {
    const text = message.stream?.trimEnd() ?? message.status ?? '';
    if (text === '') return;
    if (message.id === undefined) {
      await this.#redraw(text);
      return;
    }
    const known = this.#lines.has(message.id);
    this.#lines.set(message.id, `${message.id}: ${text}${bar(message)}`);
    this.#stale = true;
    if (!known || Date.now() - this.#drawnAtMs >= REDRAW_MS) await this.#redraw();
  }

  async close(): Promise<void> {
    if (this.#stale) await this.#redraw();
  }

  /** `above` becomes a lasting line over the bars. */
  async #redraw(above?: string): Promise<void> {
    const width = this.#output.columns || 80;
    let text = this.#drawn > 0 ? `\x1b[${this.#drawn}A` : '';
    // What has scrolled off the top cannot be drawn over.
    const bars = [...this.#lines.values()].slice(-Math.max(1, (this.#output.rows || 24) - 2));
    const lines = [...(above === undefined ? [] : [above]), ...bars];
    for (const line of lines) text += `\x1b[2K${line.slice(0, width - 1)}\n`;
    this.#drawn = bars.length;
    this.#drawnAtMs = Date.now();
    this.#stale = false;
    await this.#output.write(text);
  }
}

function bar({ progressDetail }: ProgressMessage): string {
  const { current, total } = progressDetail ?? {};
  if (current === undefined) return '';
  if (total === undefined || total <= 0) return ` ${decimalSize(current)}`;
  const filled = Math.min(BAR_WIDTH, Math.floor((current / total) * BAR_WIDTH));
  const arrow = filled < BAR_WIDTH ? '>' : '=';
  const body = `${'='.repeat(Math.max(0, filled - 1))}${filled > 0 ? arrow : ''}`;
  return ` [${body.padEnd(BAR_WIDTH)}] ${decimalSize(current)}/${decimalSize(total)}`;
}
