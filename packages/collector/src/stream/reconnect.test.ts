import { describe, expect, test } from '@jest/globals';
import { ReconnectPause } from './reconnect.ts';

const pauses = (pause: ReconnectPause, count: number) => Array.from({ length: count }, () => pause.next());

describe('the pause between attempts', () => {
  test('doubles up to its longest', () =>
    expect(pauses(new ReconnectPause(100, 900, () => 1), 6)).toEqual([100, 200, 400, 800, 900, 900]));

  test('is anything between nothing and that', () =>
    expect(pauses(new ReconnectPause(100, 900, () => 0.25), 3)).toEqual([25, 50, 100]));

  test('is short again after a reset', () => {
    const pause = new ReconnectPause(100, 900, () => 1);
    pauses(pause, 5);
    pause.reset();
    expect(pause.next()).toBe(100);
  });

  test('stays at its longest for ever', () =>
    expect(pauses(new ReconnectPause(1, 30_000, () => 1), 5000).at(-1)).toBe(30_000));
});
