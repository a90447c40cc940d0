import { expect, test } from '@jest/globals';
import { Lossless } from './lossless.ts';

/** With a socket, a table and a watchdog that the test plays. */
function setUp() {
  const world = { now: 0, fill: 0.1 as number | undefined, on: false, alive: true, started: 0, heartbeats: 0 };
  const lossless = new Lossless({
    fd: 9,
    fill: () => world.fill,
    watch: () => {
      world.started++;
      world.alive = true;
      return {
        get alive() {
          return world.alive;
        },
        heartbeat: () => void world.heartbeats++,
        close: () => {},
      };
    },
    now: () => world.now,
    isOn: () => world.on,
    set: (_, on) => {
      world.on = on;
    },
  });
  const check = (afterMs = 1000) => {
    world.now += afterMs;
    return lossless.check();
  };
  return { world, lossless, check };
}

test('is on from the first check, under a watchdog, and says so once', () => {
  const { world, lossless, check } = setUp();
  expect(lossless.on).toBe(false);
  expect(check()).toBe('resumed');
  expect([lossless.on, world.on, world.started]).toEqual([true, true, 1]);
  expect([check(), check(), world.heartbeats]).toEqual([undefined, undefined, 2]);
});

test('a table that is nearly full suspends it, and room in it resumes it after a while', () => {
  const { world, lossless, check } = setUp();
  check();
  world.fill = 0.85;
  expect(check()).toBe('table');
  expect([lossless.on, world.on]).toEqual([false, false]);
  world.fill = 0.5;
  expect(check(5000)).toBeUndefined();
  world.fill = 0.7;
  expect(check(6000)).toBeUndefined();
  world.fill = 0.5;
  expect(check()).toBe('resumed');
  expect([lossless.on, world.started]).toEqual([true, 1]);
});

test('what the watchdog did is seen', () => {
  const { world, lossless, check } = setUp();
  check();
  world.on = false;
  expect(lossless.on).toBe(false);
  expect(check()).toBe('stall');
  expect(check(20_000)).toBe('resumed');
});

test('without its watchdog it is off, until another runs', () => {
  const { world, check } = setUp();
  check();
  world.alive = false;
  expect(check()).toBe('watchdog');
  expect(world.on).toBe(false);
  expect(check(20_000)).toBe('resumed');
  expect(world.started).toBe(2);
});

test('where the kernel does not say how full the table is, the watchdog is what remains', () => {
  const { world, check } = setUp();
  world.fill = undefined;
  expect([check(), check()]).toEqual(['resumed', undefined]);
});
