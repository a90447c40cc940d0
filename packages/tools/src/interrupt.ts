/** Exit code of a program that was interrupted: 128 + SIGINT, as shells count. */
export const EXIT_INTERRUPTED = 130;

/**
 * Aborted by the first SIGINT, SIGTERM or SIGHUP, or when stdout is closed (`npm run demo | head`), so that the program ends in order.
 * A second signal ends it at once: what it leaves behind is removed by the next start.
 */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  const interrupt = () => {
    if (controller.signal.aborted) process.exit(EXIT_INTERRUPTED);
    controller.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  process.stdout.once('error', () => {
    process.stdout.on('error', () => {});
    if (!controller.signal.aborted) interrupt();
  });
  return controller.signal;
}
