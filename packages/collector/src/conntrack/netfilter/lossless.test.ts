import { expect, test } from '@jest/globals';
import { Lossless } from './lossless.ts';

/** A switch whose world the test plays. */
function setUp() {
  const world = { now: 0, fill: 0.1 as number | undefined, on: false, alive: true, started: 0, beats: 0 };
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
        beat: () => void world.beats++,
        close: () => {},
      };
    },
    now: () => world.now,
    isOn: () => world.on,
    set: (_, on) => {
      world.on = on;
    },
  });
  const look = (afterMs = 1000) => {
    world.now += afterMs;
    return lossless.look();
  };
  return { world, lossless, look };
}

test('is on from the first look, under a watchdog, and says so once', () => {
  const { world, lossless, look } = setUp();
  expect(lossless.on).toBe(false);
  expect(look()).toBe('resumed');
  expect([lossless.on, world.on, world.started]).toEqual([true, true, 1]);
  expect([look(), look(), world.beats]).toEqual([undefined, undefined, 2]);
});

test('a table that is nearly full switches it off, and room in it on again, after a while', () => {
  const { world, lossless, look } = setUp();
  look();
  world.fill = 0.85;
  expect(look()).toBe('table');
  expect([lossless.on, world.on]).toEqual([false, false]);
  world.fill = 0.5;
  expect(look(5000)).toBeUndefined();
  world.fill = 0.7;
  expect(look(6000)).toBeUndefined();
  world.fill = 0.5;
  expect(look()).toBe('resumed');
  expect([lossless.on, world.started]).toEqual([true, 1]);
});

test('what the watchdog did is seen', () => {
  const { world, lossless, look } = setUp();
  look();
  world.on = false;
  expect(lossless.on).toBe(false);
  expect(look()).toBe('stall');
  expect(look(20_000)).toBe('resumed');
});

test('without its watchdog it is off, until another runs', () => {
  const { world, look } = setUp();
  look();
  world.alive = false;
  expect(look()).toBe('watchdog');
  expect(world.on).toBe(false);
  expect(look(20_000)).toBe('resumed');
  expect(world.started).toBe(2);
});

test('where the kernel does not say how full the table is, the watchdog is what remains', () => {
  const { world, look } = setUp();
  world.fill = undefined;
  expect([look(), look()]).toEqual(['resumed', undefined]);
});
