import { expect, test } from '@jest/globals';
import { mendedSources } from './base.ts';

test('what was mended comes from the same mirror', () => {
  expect(mendedSources('deb http://mirror.example/debian bookworm main\n')).toBe(
    'deb http://mirror.example/debian bookworm-updates main\ndeb http://mirror.example/debian-security bookworm-security main\n',
  );
  expect(mendedSources('deb http://mirror.example/debian/ bookworm main\n')).toContain(
    'http://mirror.example/debian book',
  );
  expect(() => mendedSources('')).toThrow('no archive');
});
