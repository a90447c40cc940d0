import { expect, test } from '@jest/globals';
import { HOSTS, PODS } from '../network/layout.ts';
import { wholePlan } from './plan.ts';
import { seededRandom } from './random.ts';

test('the same seed makes the same plan, another another', () => {
  expect(wholePlan(seededRandom(7))).toEqual(wholePlan(seededRandom(7)));
  expect(wholePlan(seededRandom(7))).not.toEqual(wholePlan(seededRandom(8)));
});

test('every kind of traffic, from every pod, in both families', () => {
  const plan = wholePlan(seededRandom(1));
  expect(new Set(plan.map(({ order }) => order.do))).toEqual(new Set(['tcp', 'udp', 'ping', 'refused']));
  expect(plan.filter(({ order }) => order.to.includes(':'))).toHaveLength(plan.length / 2);
  const from = new Set(plan.map((step) => step.from));
  expect(PODS.filter(({ name }) => !from.has(name))).toEqual([]);
  expect([...from].filter((name) => !HOSTS.some((host) => host.name === name))).toEqual([]);
});

test('drawn numbers stay between their bounds and reach both', () => {
  const random = seededRandom(3);
  const drawn = Array.from({ length: 500 }, () => random.between(2, 5));
  expect([...new Set(drawn)].sort()).toEqual([2, 3, 4, 5]);
});
