import { expect, test } from '@jest/globals';
import { createLog, type Level, LogLimiter } from './log.ts';

function logged(level: Level) {
  const lines: string[] = [];
  return {
    lines,
    log: createLog(
      level,
      (line) => lines.push(line),
      () => Date.UTC(2024, 0, 2),
    ),
  };
}

test('a line is logfmt, with what could break it quoted', () => {
  const { log, lines } = logged('debug');
  log.info('read', {
    entries: 3,
    node: 'a b',
    path: '/x',
    total: 2n ** 60n,
    suppressed: undefined,
    why: 'x="1"\nlevel=error',
  });
  expect(lines).toEqual([
    'time=2024-01-02T00:00:00.000Z level=info msg=read entries=3 node="a b" path=/x total=1152921504606846976 why="x=\\"1\\"\\nlevel=error"\n',
  ]);
});

test('what a terminal would obey is escaped, and a long value is cut', () => {
  const { log, lines } = logged('info');
  log.info('x', { node: '\u202ea\u009b\u200b', version: 'v'.repeat(100_000) });
  expect(lines[0]).toContain('node="\\u202ea\\u009b\\u200b"');
  expect(lines[0]).toMatch(/version="v{8192}\.\.\. \(91808 more characters\)"\n$/);
});

test.each<[Level, number]>([
  ['debug', 4],
  ['info', 3],
  ['warn', 2],
  ['error', 1],
])('at level %s, %d of four lines are logged', (level, count) => {
  const { log, lines } = logged(level);
  log.debug('d');
  log.info('i');
  log.warn('w');
  log.error('e');
  expect(lines).toHaveLength(count);
});

test('a repeated line is suppressed for longer and longer, and the next one has the number of suppressed lines', () => {
  let now = 0;
  const logLimiter = new LogLimiter(() => now);
  const logged: [number, number | undefined][] = [];
  for (; now < 20_000; now += 500) logLimiter.limit('key', (suppressed) => logged.push([now, suppressed]));
  expect(logged).toEqual([
    [0, undefined],
    [1000, 1],
    [3000, 3],
    [7000, 7],
    [15_000, 15],
  ]);
});

test('keys are limited apart, and one without lines for twice its interval starts over', () => {
  let now = 0;
  const logLimiter = new LogLimiter(() => now);
  const logged: string[] = [];
  const log = (key: string) => logLimiter.limit(key, () => logged.push(`${key}@${now}`));
  for (const at of [0, 1, 3000, 3500, 4001]) {
    now = at;
    log('a');
    if (at === 1) log('b');
  }
  expect(logged).toEqual(['a@0', 'b@1', 'a@3000', 'a@4001']);
});

test('the number of keys has a bound: the oldest is evicted', () => {
  const logLimiter = new LogLimiter(() => 0);
  let lines = 0;
  const log = (key: string) => logLimiter.limit(key, () => lines++);
  log('first');
  log('first');
  expect(lines).toBe(1);
  for (let i = 0; i < 1000; i++) log(String(i));
  expect(lines).toBe(1001);
  log('999');
  expect(lines).toBe(1001);
  log('first');
  expect(lines).toBe(1002);
});

test('a clock that was set back suppresses nothing', () => {
  let now = 3_600_000;
  const logLimiter = new LogLimiter(() => now);
  const logged: number[] = [];
  logLimiter.limit('key', () => logged.push(now));
  now = 0;
  logLimiter.limit('key', () => logged.push(now));
  expect(logged).toEqual([3_600_000, 0]);
});
