import { expect, test } from '@jest/globals';
import { didYouMean, nearest } from './nearest.ts';

const KNOWN = ['url', 'headers', 'labels', 'sendReceivedBytesMetric', 'exportInterval'];

test.each([
  ['header', 'headers'],
  ['exportinterval', 'exportInterval'],
  ['export_interval', 'exportInterval'],
  ['sendRecievedBytesMetric', 'sendReceivedBytesMetric'],
  ['uri', 'url'],
  ['sendRec', 'sendReceivedBytesMetric'],
  ['export', 'exportInterval'],
  ['se', undefined],
  ['x', undefined],
  ['password', undefined],
  ['', undefined],
])('%j is near %j', (name, near) => {
  expect(nearest(name, KNOWN)).toBe(near);
});

test('a hint is left out where nothing is near', () => {
  expect(didYouMean('label', KNOWN)).toBe(' (did you mean labels?)');
  expect(didYouMean('password', KNOWN)).toBe('');
});
