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
    left_out: undefined,
    why: 'x="1"\nlevel=error',
  });
  expect(lines).toEqual([
    'time=2024-01-02T00:00:00.000Z level=info msg=read entries=3 node="a b" path=/x total=1152921504606846976 why="x=\\"1\\"\\nlevel=error"\n',
  ]);
});

test.each<[Level, number]>([
  ['debug', 4],
  ['info', 3],
  ['warn', 2],
  ['error', 1],
])('at level %s, %d of four are said', (level, said) => {
  const { log, lines } = logged(level);
  log.debug('d');
  log.info('i');
  log.warn('w');
  log.error('e');
  expect(lines).toHaveLength(said);
});

test('a line that repeats keeps quiet longer and longer, and says how many it left out', () => {
  let now = 0;
  const logLimiter = new LogLimiter(() => now);
  const said: [number, number | undefined][] = [];
  for (; now < 20_000; now += 500) logLimiter.limit('key', (leftOut) => said.push([now, leftOut]));
  expect(said).toEqual([
    [0, undefined],
    [1000, 1],
    [3000, 3],
    [7000, 7],
    [15_000, 15],
  ]);
});

test('another key is another line, and after long enough a silence a line is new', () => {
  let now = 0;
  const logLimiter = new LogLimiter(() => now);
  const said: string[] = [];
  const say = (key: string) => logLimiter.limit(key, () => said.push(`${key}@${now}`));
  for (const at of [0, 1, 3000, 3500, 4001]) {
    now = at;
    say('a');
    if (at === 1) say('b');
  }
  expect(said).toEqual(['a@0', 'b@1', 'a@3000', 'a@4001']);
});

test('however many keys there are, few are remembered', () => {
  const logLimiter = new LogLimiter(() => 0);
  let said = 0;
  const say = (key: string) => logLimiter.limit(key, () => said++);
  say('first');
  say('first');
  expect(said).toBe(1);
  for (let i = 0; i < 1000; i++) say(String(i));
  expect(said).toBe(1001);
  say('999');
  expect(said).toBe(1001);
  say('first');
  expect(said).toBe(1002);
});
