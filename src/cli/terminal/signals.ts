// Signals sent to us, passed on to the workload.

const PROXIED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

export interface SignalProxy extends Disposable {
  /** From now on signals are passed on; those that came before are passed on first. */
  open(send: (signal: string) => Promise<void>): void;
}

/** Catches signals from now on. Before `open` they are kept, so that none is lost while a workload starts. */
export function catchSignals(): SignalProxy {
  const early: string[] = [];
  let send: ((signal: string) => Promise<void>) | undefined;
  const listeners = PROXIED.map((signal) => {
    const listener = () => {
      if (send === undefined) early.push(signal);
      // The workload may just have ended; then there is nobody to tell.
      else send(signal).catch(() => {});
    };
    process.on(signal, listener);
    return [signal, listener] as const;
  });
  return {
    open: (sender) => {
      send = sender;
      for (const signal of early.splice(0)) sender(signal).catch(() => {});
    },
    [Symbol.dispose]: () => {
      for (const [signal, listener] of listeners) process.off(signal, listener);
    },
  };
}
