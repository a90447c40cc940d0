import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { text } from 'node:stream/consumers';
import { expect, test } from '@jest/globals';
import { EXIT, Lifecycle } from './lifecycle.ts';
import { createLog } from './log.ts';

/** A fake process: when it would have exited, and what was logged until then. */
function fakeProcess(deadlineMs?: number) {
  const host = new EventEmitter();
  const lines: string[] = [];
  const ended = once(host, 'exit').then(([code]) => code as number);
  const exit = (code: number) => void host.emit('exit', code);
  const log = createLog(
    'info',
    (line) => lines.push(line.replace(/^time=\S+ /, '').trimEnd()),
    () => 0,
  );
  const life = new Lifecycle(log, Object.assign(host, { exit }), deadlineMs);
  return { host, lines, ended, life };
}

test('what was started last is stopped first, one after the other', async () => {
  const { host, ended, life } = fakeProcess();
  const order: string[] = [];
  await life.start(async () => {
    life.onStop('first', () => order.push('first'));
    life.onStop('second', async () => {
      await new Promise(setImmediate);
      order.push('second');
    });
  });
  expect(life.stopping.aborted).toBe(false);
  host.emit('SIGTERM');
  expect(life.stopping.aborted).toBe(true);
  expect(await ended).toBe(EXIT.ok);
  expect(order).toEqual(['second', 'first']);
});

test.each([
  ['SIGINT', EXIT.interrupted],
  ['SIGTERM', EXIT.terminated],
])('a second %s ends the process at once', async (signal, code) => {
  const { host, ended, life } = fakeProcess(50);
  life.onStop('stuck', () => new Promise(() => {}));
  host.emit(signal);
  host.emit(signal);
  expect(await ended).toBe(code);
});

test('a step that hangs or fails does not hold up the others', async () => {
  const { ended, life, lines } = fakeProcess();
  let stopped = false;
  life.onStop('last', () => {
    stopped = true;
  });
  life.onStop('hangs', () => new Promise(() => {}), 1);
  life.onStop('throws', () => {
    throw new Error('already closed');
  });
  life.stop('enough');
  expect(await ended).toBe(EXIT.ok);
  expect(stopped).toBe(true);
  expect(lines).toEqual([
    'level=info msg=stopping reason=enough',
    'level=error msg="shutdown step failed" step=throws error="already closed"',
    'level=warn msg="shutdown step timed out" step=hangs deadline_ms=1',
  ]);
});

test('the whole stop has a deadline, and each step is at least called', async () => {
  const { ended, life } = fakeProcess(1);
  const called: number[] = [];
  for (const step of [1, 2, 3])
    life.onStop('hangs', () => {
      called.push(step);
      return new Promise(() => {});
    });
  life.stop('enough');
  expect(await ended).toBe(EXIT.ok);
  expect(called).toEqual([3, 2, 1]);
});

test('a start that fails stops what it has started', async () => {
  const { ended, life, lines } = fakeProcess();
  let stopped = false;
  await life.start(async () => {
    life.onStop('http', () => {
      stopped = true;
    });
    throw new Error('cannot listen on port 6060', { cause: new Error('EADDRINUSE') });
  });
  expect(await ended).toBe(EXIT.failed);
  expect(stopped).toBe(true);
  expect(lines[0]).toBe('level=error msg="start failed" error="cannot listen on port 6060: EADDRINUSE"');
});

test('a signal during the start stops also what is started after it', async () => {
  const { host, ended, life, lines } = fakeProcess();
  let stopped = false;
  const start = life.start(async () => {
    host.emit('SIGTERM');
    await new Promise(setImmediate);
    life.onStop('late', () => {
      stopped = true;
    });
    life.stopping.throwIfAborted();
  });
  await start;
  expect(await ended).toBe(EXIT.ok);
  expect(stopped).toBe(true);
  expect(lines).toEqual(['level=info msg=stopping reason=SIGTERM']);
});

test.each(['uncaughtException', 'unhandledRejection'])(
  '%s is logged once, with its stack, and ends the process',
  async (event) => {
    const { host, ended, life, lines } = fakeProcess();
    let stopped = 0;
    life.onStop('loop', () => stopped++);
    host.emit(event, new Error('lost'));
    host.emit(event, new Error('lost too'));
    expect(await ended).toBe(EXIT.failed);
    expect(stopped).toBe(1);
    expect(lines.filter((line) => line.startsWith('level=error'))).toEqual([
      expect.stringContaining('lifecycle.test.ts'),
    ]);
  },
);

test('an expected error is logged without its stack, a fault of the program with it', async () => {
  const logged = (error: unknown) => {
    const { life, lines } = fakeProcess();
    life.fail('broken', error);
    return lines[0];
  };
  expect(logged(new Error('no such file'))).toBe('level=error msg=broken error="no such file"');
  expect(logged('text')).toBe('level=error msg=broken error=text');
  expect(logged(Object.assign(new Error('BUG: a row twice'), { name: 'Bug' }))).toContain('lifecycle.test.ts');
  expect(logged(new TypeError('x is not a function'))).toContain('lifecycle.test.ts');
});

/** A real process that says `up`, has one step to stop and would never end by itself. */
const DAEMON = `
  import { Lifecycle } from './lifecycle.ts';
  import { createLog } from './log.ts';
  const life = new Lifecycle(createLog('info', (line) => process.stdout.write(line)));
  await life.start(async () => {
    setInterval(() => {}, 60_000);
    life.onStop('work', () => process.argv[1] === 'stuck' ? new Promise(() => {}) : console.log('work stopped'));
  });
  if (process.argv[1] === 'broken') setTimeout(() => { throw new Error('broken'); }, 0);
  console.log('up');
`;

test.each([
  ['calm', ['SIGTERM'], EXIT.ok, 'work stopped'],
  ['calm', ['SIGINT'], EXIT.ok, 'work stopped'],
  ['stuck', ['SIGTERM', 'SIGTERM'], EXIT.terminated, 'second signal'],
  ['broken', [], EXIT.failed, 'work stopped'],
])('a %s process that gets %j ends with %d', async (kind, signals, code, said) => {
  const argv = ['--disable-warning=ExperimentalWarning', '--input-type=module-typescript', '-e', DAEMON, kind];
  const child = spawn(process.execPath, argv, { cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const output = text(child.stdout);
  await once(child.stdout, 'data');
  for (const signal of signals) child.kill(signal as NodeJS.Signals);
  // Two equal signals at once are one to the kernel.
  const again = setInterval(() => signals.length > 1 && child.kill('SIGTERM'), 20);
  const [exitCode] = await exited;
  clearInterval(again);
  expect(exitCode).toBe(code);
  expect(await output).toContain(said);
});
