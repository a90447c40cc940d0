import { expect, test } from '@jest/globals';
import { printable, shortened } from './printable.ts';

test.each([
  ['plain: ~/ä 東京 😀', 'plain: ~/ä 東京 😀'],
  ['a\u001b[2Jb', 'a\\u001b[2Jb'],
  ['a\nb\tc', 'a\\u000ab\\u0009c'],
  ['C1: \u009b2J\u0085', 'C1: \\u009b2J\\u0085'],
  ['\u202egnp.exe\u2066', '\\u202egnp.exe\\u2066'],
  ['pay\u200bments\ufeff\u00ad', 'pay\\u200bments\\ufeff\\u00ad'],
  ['line\u2028line\u2029', 'line\\u2028line\\u2029'],
  ['tag \u{e0041}', 'tag \\udb40\\udc41'],
])('%j', (text, expected) => {
  expect(printable(text)).toBe(expected);
});

test('a long text is cut, with how much is left out', () => {
  expect(shortened('abcdef', 6)).toBe('abcdef');
  expect(shortened('abcdef', 2)).toBe('ab... (4 more characters)');
});
