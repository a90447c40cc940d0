import { expect, test } from '@jest/globals';
import { parseCertificatesFlags } from './flags.ts';

const GOOD = ['-namespace=ns', '-ca-secret=ca', '-exporter-secret=e', '-collector-secret=c', '-dns-names=e,e.ns.svc'];
const parse = (...argv: string[]) => parseCertificatesFlags(argv, {});

test('the required flags are enough', () =>
  expect(parse(...GOOD)).toMatchObject({
    kind: 'values',
    values: { dnsNames: ['e', 'e.ns.svc'], validity: 90 * 86_400_000, renewBefore: 30 * 86_400_000 },
  }));

test('without it each is named', () =>
  expect(parse()).toEqual({
    kind: 'mistakes',
    mistakes: [
      '-namespace: has to be set',
      '-ca-secret: has to be set',
      '-exporter-secret: has to be set',
      '-collector-secret: has to be set',
      '-dns-names: has to be set, such as egressd-exporter.egressd.svc',
    ],
  }));

test('the version needs none', () => expect(parse('-version')).toMatchObject({ kind: 'values' }));

test.each<[string, string]>([
  ['-namespace=../kube-system', '-namespace: "../kube-system" is no DNS name in lower case'],
  ['-collector-secret=e', '-ca-secret, -exporter-secret, -collector-secret: have to be three different Secrets'],
  ['-dns-names=10.0.0.1', '-dns-names: "10.0.0.1" is an address, and names are checked: use the name of the Service'],
  ['-dns-names=a,*.b', '-dns-names: "*.b" is no DNS name in lower case'],
  ['-renew-before=2160h', '-renew-before: has to be shorter than -validity'],
  ['-ca-validity=5759h', '-ca-validity: has to be at least twice as long as -validity and -renew-before together'],
])('%s: %s', (flag, mistake) => expect(parse(...GOOD, flag)).toEqual({ kind: 'mistakes', mistakes: [mistake] }));
