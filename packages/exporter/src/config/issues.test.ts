import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { check, formatPath, mistakeLine } from './issues.ts';
import { readYaml } from './yaml.ts';

const SCHEMA = z.strictObject({
  name: z.string(),
  count: z.number().int().min(1).max(5).optional(),
  mode: z.enum(['fast', 'slow']).optional(),
  either: z.union([z.string(), z.number()]).optional(),
  list: z.array(z.strictObject({ address: z.string().min(1) })).optional(),
  sinks: z.record(z.string(), z.strictObject({ url: z.url(), timeout: z.string().default('5s') })).default({}),
});

function lines(value: unknown): string[] {
  const checked = check(SCHEMA, value);
  return checked.ok ? [] : checked.mistakes.map(mistakeLine);
}

describe('mistakes', () => {
  test.each<[unknown, string[]]>([
    [{ name: 'a' }, []],
    [{}, ['name: expected text, found nothing']],
    [undefined, ['expected a map of settings, found nothing']],
    [{ name: 7 }, ['name: expected text, found a number']],
    [{ name: ['secret'] }, ['name: expected text, found a list']],
    [{ name: 'a', count: 9 }, ['count: expected at most 5']],
    [{ name: 'a', count: 0 }, ['count: expected at least 1']],
    [{ name: 'a', count: 1.5 }, ['count: expected a whole number, found a number']],
    [{ name: 'a', mode: 'secret' }, ['mode: expected fast or slow']],
    [{ name: 'a', either: true }, ['either: expected text or a number, found true or false']],
    [{ name: 'a', list: [{ address: '' }] }, ['list[0].address: expected at least 1 characters']],
    [{ name: 'a', list: [{ address: 'x', adress: 'y' }] }, ['list[0].adress: unknown setting, did you mean address?']],
    [{ name: 'a', sinks: { 'my sink': { url: 'secret' } } }, ['sinks["my sink"].url: expected a valid URL']],
    [
      { name: 'a', sinks: { p: { url: 'http://a', Timout: 1, zzzzzzzz: 2 } } },
      [
        'sinks.p.Timout: unknown setting, did you mean timeout?',
        'sinks.p.zzzzzzzz: unknown setting, expected one of url, timeout',
      ],
    ],
    [
      { nam: 'a', count: 'x' },
      [
        'name: expected text, found nothing',
        'count: expected a number, found text',
        'nam: unknown setting, did you mean name?',
      ],
    ],
  ])('%j', (value, expected) => {
    expect(lines(value)).toEqual(expected);
  });

  test('a path is written as one would write it', () => {
    expect(formatPath(['nodes', 2, 'addresses', 0])).toBe('nodes[2].addresses[0]');
    expect(formatPath([])).toBe('');
  });
});

describe('YAML', () => {
  test('a mistake has its line, or that of what is around it', () => {
    const yaml = readYaml('name: a\nlist:\n  - address: b\n  - adress: c\n');
    const checked = check(SCHEMA, yaml.value);
    expect(checked.ok ? [] : checked.mistakes.map(yaml.place)).toEqual([
      'line 4: list[1].address: expected text, found nothing',
      'line 4: list[1].adress: unknown setting, did you mean address?',
    ]);
  });

  test.each<[string, string]>([
    ['a: [1', 'line 1, column 6: '],
    ['a: 1\na: 2\n', 'line 2, column 1: Map keys must be unique'],
    ['a: 1\n---\nb: 2\n', 'line 2, column 1: '],
  ])('%j', (text, expected) => {
    const yaml = readYaml(text);
    expect(yaml.mistakes[0]?.slice(0, expected.length)).toBe(expected);
    expect(yaml.value).toBeUndefined();
  });

  test('an empty text has no value and no mistakes', () => {
    expect(readYaml('# nothing\n')).toMatchObject({ value: undefined, mistakes: [] });
  });
});
