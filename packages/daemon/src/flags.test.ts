import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { effective, renderValues } from './flag-help.ts';
import {
  address,
  boolean,
  choice,
  duration,
  integer,
  level,
  list,
  optionalBoolean,
  optionalChoice,
  optionalText,
  port,
} from './flag-kinds.ts';
import { defineFlags, environmentName, parseFlags, propertyName } from './flags.ts';

const FLAGS = defineFlags({
  'read-interval': duration(5000, { min: 1, max: 3_600_000 }, 'Time between reads.'),
  on: boolean(false, 'A switch.'),
  delta: optionalBoolean('Three ways.'),
  'http-port': port(8008, 'A port.'),
  count: integer(7, { min: 1, max: 100 }, 'A number.'),
  names: list(['kube-system'], 'Names.'),
  dir: optionalText('directory', 'A directory.'),
  mode: optionalChoice(['netfilter', 'cilium'], 'A mode.'),
  clock: choice(['jiffies', 'ktime'], 'jiffies', 'A clock.'),
  to: address('127.0.0.1:6062', 'An address.'),
  'log-level': level('info', 'A level.'),
});
const DEFAULTS = {
  readInterval: 5000,
  on: false,
  delta: undefined,
  httpPort: 8008,
  count: 7,
  names: ['kube-system'],
  dir: undefined,
  mode: undefined,
  clock: 'jiffies',
  to: '127.0.0.1:6062',
  logLevel: 'info',
};

const parse = (argv: string[], environment = {}) => parseFlags(FLAGS, argv, environment);

describe('what is read', () => {
  test.each<[string[], object]>([
    [[], {}],
    [['-read-interval=2m'], { readInterval: 120_000 }],
    [['--read-interval=1h'], { readInterval: 3_600_000 }],
    [['--read-interval', '500ms'], { readInterval: 500 }],
    [['-read-interval', '1.5s', '-on'], { readInterval: 1500, on: true }],
    [['-on=false', '-delta'], { on: false, delta: true }],
    [['--delta=F', '--on=1'], { delta: false, on: true }],
    [['-on', '-on=0'], { on: false }],
    [['-count=1', '-count=2'], { count: 2 }],
    [['-http-port=0'], { httpPort: 0 }],
    [['-names=a, b,,c '], { names: ['a', 'b', 'c'] }],
    [['-names='], { names: [] }],
    [['-dir=/a=b'], { dir: '/a=b' }],
    [['-dir', '-odd'], { dir: '-odd' }],
    [['-dir='], { dir: undefined }],
    [['-mode='], { mode: undefined }],
    [['-mode', 'cilium', '-clock', 'ktime'], { mode: 'cilium', clock: 'ktime' }],
    [['-to=[::1]:6062'], { to: '[::1]:6062' }],
    [['-to=egressd-exporter.egressd.svc:1'], { to: 'egressd-exporter.egressd.svc:1' }],
    [['-log-level=trace'], { logLevel: 'debug' }],
    [['-log-level=WARNING'], { logLevel: 'warn' }],
    [['-log-level=fatal'], { logLevel: 'error' }],
    [['-log-level=panic'], { logLevel: 'error' }],
  ])('%j', (argv, expected) => {
    expect(parse(argv)).toEqual({ kind: 'values', values: { ...DEFAULTS, ...expected }, warnings: [] });
  });

  test('a flag wins over the environment, which wins over the default', () => {
    const environment = { EGRESSD_READ_INTERVAL: '7s', EGRESSD_COUNT: '8', EGRESSD_ON: 'true' };
    const expected = { ...DEFAULTS, readInterval: 9000, count: 8, on: true };
    expect(parse(['-read-interval=9s'], environment)).toEqual({ kind: 'values', values: expected, warnings: [] });
  });

  test.each(['-h', '--help', '-help'])('%s asks for help, whatever else is there', (flag) => {
    expect(parse(['-nonsense', flag])).toEqual({ kind: 'help' });
  });

  test('a slip in the environment is said; what a Service named egressd-exporter puts there is not', () => {
    const environment = { EGRESSD_CUONT: '8', EGRESSD_EXPORTER_PORT: 'tcp://10.0.0.1:6062', PATH: '/bin' };
    const warnings = ['EGRESSD_CUONT in the environment is no flag (did you mean EGRESSD_COUNT?)'];
    expect(parse([], environment)).toEqual({ kind: 'values', values: DEFAULTS, warnings });
  });
});

describe('mistakes', () => {
  test.each<[string[], string]>([
    [['-red-interval=5s'], '-red-interval: unknown flag (did you mean -read-interval?)'],
    [['--whatever', '5s'], '-whatever: unknown flag'],
    [['-toString=x'], '-toString: unknown flag'],
    [['-read-interval=5'], '-read-interval: is "5", expected a duration from 1ms to 1h, such as 5s'],
    [['-read-interval=0s'], '-read-interval: is "0s", expected a duration from 1ms to 1h, such as 5s'],
    [['-read-interval=-5s'], '-read-interval: is "-5s", expected a duration from 1ms to 1h, such as 5s'],
    [['-read-interval'], '-read-interval: has no value, expected -read-interval=DURATION'],
    [['-dir', '-on'], '-dir: has no value, expected -dir=DIRECTORY'],
    [['-on', 'false'], '"false": is no flag, and there are no other arguments; write -on=false'],
    [['on'], '"on": is no flag, and there are no other arguments'],
    [['--'], '"--": is no flag, and there are no other arguments'],
    [['---on'], '"---on": is no flag, and there are no other arguments'],
    [['-=on'], '"-=on": is no flag, and there are no other arguments'],
    [['-on=yes'], '-on: is "yes", expected true or false'],
    [['-on='], '-on: is "", expected true or false'],
    [['-http-port=65536'], '-http-port: is "65536", expected a whole number from 0 to 65535'],
    [['-http-port=-1'], '-http-port: is "-1", expected a whole number from 0 to 65535'],
    [['-count=0x10'], '-count: is "0x10", expected a whole number from 1 to 100'],
    [['-count=1.5'], '-count: is "1.5", expected a whole number from 1 to 100'],
    [['-mode=docker'], '-mode: is "docker", expected netfilter, cilium, or nothing'],
    [['-clock='], '-clock: is "", expected jiffies, ktime'],
    [['-to=::1:6062'], '-to: is "::1:6062", expected HOST:PORT (an IPv6 address in brackets), such as exporter:6062'],
    [['-to=a:0'], '-to: is "a:0", expected HOST:PORT (an IPv6 address in brackets), such as exporter:6062'],
    [['-log-level=loud'], '-log-level: is "loud", expected trace, debug, info, warn, warning, error, fatal, panic'],
  ])('%j', (argv, mistake) => {
    expect(parse(argv)).toEqual({ kind: 'mistakes', mistakes: [mistake] });
  });

  test('all are reported at once, those of the environment by its name', () => {
    const parsed = parse(['-nonsense', '-count=x'], { EGRESSD_ON: 'maybe' });
    const mistakes = [
      '-nonsense: unknown flag',
      '-count: is "x", expected a whole number from 1 to 100',
      'EGRESSD_ON: is "maybe", expected true or false',
    ];
    expect(parsed).toEqual({ kind: 'mistakes', mistakes: [mistakes[0], mistakes[2], mistakes[1]] });
  });

  test('values that do not go together are reported with the rest', () => {
    const parsed = parseFlags(FLAGS, ['-count=x'], {}, (values) => (values.on ? [] : ['-on: needed']));
    expect(parsed).toMatchObject({ kind: 'mistakes', mistakes: [expect.stringContaining('-count'), '-on: needed'] });
  });
});

test('values as text: what is set for a line of the log, all for -config-check', () => {
  const flags = defineFlags({ every: FLAGS['read-interval'], on: FLAGS.on, off: FLAGS.on, dir: FLAGS.dir });
  const values = { every: 5000, on: true, off: false, dir: undefined };
  expect(effective(flags, values)).toEqual({ every: '5s', on: 'true' });
  expect(renderValues(flags, values)).toBe('-every=5s\n-on=true\n-off=false\n-dir=\n');
});

test('names', () => {
  expect(environmentName('ebpf-dns-tracer-queue-size')).toBe('EGRESSD_EBPF_DNS_TRACER_QUEUE_SIZE');
  expect(propertyName('init-cgroupv2')).toBe('initCgroupv2');
});

test('every value that a flag writes is read again, in each of the ways to set it', () => {
  const settings = fc.record({
    readInterval: fc.integer({ min: 1, max: 3_600_000 }),
    on: fc.boolean(),
    httpPort: fc.integer({ min: 0, max: 65535 }),
    names: fc.array(fc.stringMatching(/^[a-z0-9-]{1,9}$/)),
    dir: fc.option(fc.string({ minLength: 1, unit: 'binary' }), { nil: undefined }),
    mode: fc.constantFrom('netfilter', 'cilium', undefined),
  });
  fc.assert(
    fc.property(settings, fc.constantFrom('-', '--', 'environment'), (given, way) => {
      const texts = {
        'read-interval': FLAGS['read-interval'].write(given.readInterval),
        on: FLAGS.on.write(given.on),
        'http-port': FLAGS['http-port'].write(given.httpPort),
        names: FLAGS.names.write(given.names),
        dir: FLAGS.dir.write(given.dir),
        mode: FLAGS.mode.write(given.mode as 'cilium'),
      };
      const pairs = Object.entries(texts);
      const argv = way === 'environment' ? [] : pairs.map(([name, text]) => `${way}${name}=${text}`);
      const environment = Object.fromEntries(pairs.map(([name, text]) => [environmentName(name), text]));
      const parsed = parse(argv, way === 'environment' ? environment : {});
      expect(parsed).toEqual({ kind: 'values', values: { ...DEFAULTS, ...given }, warnings: [] });
    }),
  );
});

test('no command line is too odd to be answered', () => {
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom('-on', '--names', '-read-interval', '5s', '-', '--', '=', '-count='),
  );
  fc.assert(
    fc.property(fc.array(word), (argv) => {
      expect(['values', 'mistakes', 'help']).toContain(parse(argv).kind);
    }),
  );
});
