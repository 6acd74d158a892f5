// The user's terminal in raw mode, and back again however we end.

export interface Size {
  readonly rows: number;
  readonly columns: number;
}

/** Raw mode until disposed; also undone when the process ends without that. */
export function enterRawMode(): Disposable {
  const { stdin } = process;
  stdin.setRawMode(true);
  const restore = () => stdin.setRawMode(false);
  process.once('exit', restore);
  return {
    [Symbol.dispose]: () => {
      process.off('exit', restore);
      restore();
    },
  };
}

/** Size of the terminal we write to, if it is one. */
export function terminalSize(): Size | undefined {
  const { stdout } = process;
  if (!stdout.isTTY) return undefined;
  const [columns, rows] = stdout.getWindowSize();
  return columns > 0 && rows > 0 ? { rows, columns } : undefined;
}

/** Calls back whenever the terminal's size changes, until disposed. */
export function onResize(callback: (size: Size) => void): Disposable {
  const listener = () => {
    const size = terminalSize();
    if (size !== undefined) callback(size);
  };
  process.on('SIGWINCH', listener);
  return { [Symbol.dispose]: () => void process.off('SIGWINCH', listener) };
}
