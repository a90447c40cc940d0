import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SILENT } from '@egressd/daemon/log';
import { type ClientTls, clientTls, type ServerTls, serverTls } from '@egressd/daemon/tls';
import type { TlsFlags } from '@egressd/daemon/tls-files';
import { type CertificateFiles, CertificateFolder } from '@egressd/world/certificates';
import { KeptLog, metric, until } from '@egressd/world/observe';
import { afterAll, describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { CollectorEnd, ExporterEnd } from './stream-ends.ts';

const made = new CertificateFolder();
const authority = made.authority('authority');
const untrusted = made.authority('untrusted');
const exporterFiles = made.certificate('exporter', authority);
const collectorFiles = made.certificate('collector', authority);
afterAll(() => made[Symbol.dispose]());

const NONE: TlsFlags = { certFile: '', keyFile: '', caFile: '', insecure: false };
const own = ({ cert, key }: CertificateFiles) => ({ certFile: cert, keyFile: key });
const trusting = ({ cert }: CertificateFiles) => ({ caFile: cert });

/** Flags of both sides where all is well. */
const EXPORTER: TlsFlags = { ...NONE, ...own(exporterFiles), ...trusting(authority) };
const COLLECTOR: TlsFlags = { ...NONE, ...own(collectorFiles), ...trusting(authority) };

async function exporterWith(flags: TlsFlags): Promise<{ end: ExporterEnd; tls: ServerTls } & AsyncDisposable> {
  const tls = serverTls(flags, SILENT, new Registry());
  const end = await ExporterEnd.start({ credentials: tls.credentials });
  const dispose = async (): Promise<void> => {
    tls.stop();
    await end[Symbol.asyncDispose]();
  };
  return { end, tls, [Symbol.asyncDispose]: dispose };
}

function collectorWith(flags: TlsFlags, { end }: { end: ExporterEnd }, node = 'node-a'): CollectorEnd {
  const credentials: ClientTls = clientTls(flags, `127.0.0.1:${end.port}`, SILENT, new Registry());
  return new CollectorEnd(end.port, { credentials, node, timing: { keepaliveMs: 10_000, welcomeMs: 2000 } });
}

/** The exporter gets nothing, and the collector says why. */
async function refused(exporter: TlsFlags, collector: TlsFlags, ...words: string[]): Promise<void> {
  await using server = await exporterWith(exporter);
  await using client = collectorWith(collector, server);
  client.send();
  await until(`a line with ${words.join(', ')}`, () => client.kept.says(...words));
  expect(server.end.batches.length).toBe(0);
}

describe('a stream with TLS', () => {
  test('brings batches where both sides trust each other', async () => {
    await using exporter = await exporterWith(EXPORTER);
    await using collector = collectorWith(COLLECTOR, exporter);
    collector.send();
    await until('the batch', () => exporter.end.batches.length === 1);
  });

  test('without tls-ca-file at the exporter needs no certificate of the collector', async () => {
    await using exporter = await exporterWith({ ...EXPORTER, caFile: '' });
    await using collector = collectorWith({ ...NONE, ...trusting(authority) }, exporter);
    collector.send();
    await until('the batch', () => exporter.end.batches.length === 1);
  });

  test('refuses an exporter of an unknown authority', () =>
    refused(
      { ...NONE, ...own(made.certificate('false-exporter', untrusted)), ...trusting(authority) },
      COLLECTOR,
      'reason=tls',
      'tls-ca-file',
    ));

  test('refuses a collector of an unknown authority', () =>
    refused(EXPORTER, { ...COLLECTOR, ...own(made.certificate('false-collector', untrusted)) }, 'reason='));

  test('refuses a collector without a certificate', () =>
    refused(EXPORTER, { ...NONE, ...trusting(authority) }, 'reason='));

  test('refuses plain text', () => refused(EXPORTER, { ...NONE, insecure: true }, 'reason='));

  test('does not talk to an exporter without TLS', async () => {
    await using exporter = await exporterWith(NONE);
    await using collector = collectorWith(COLLECTOR, exporter);
    await until('a line', () => collector.kept.says('reason=', 'tls-ca-file'));
  });

  test('takes renewed certificates while it runs, on both sides, and keeps open streams', async () => {
    const files = made.certificate('renewed-exporter', authority);
    const clientFiles = made.certificate('renewed-collector', authority);
    const ca = { cert: join(made.folder, 'trusted.pem'), key: join(made.folder, 'trusted.key') };
    made.replace(ca, authority);
    await using exporter = await exporterWith({ ...NONE, ...own(files), ...trusting(ca) });
    await using early = collectorWith({ ...NONE, ...own(clientFiles), ...trusting(ca) }, exporter);
    early.send();
    await until('the first batch', () => exporter.end.batches.length === 1);

    made.replace(ca, untrusted);
    made.replace(files, made.certificate('exporter-by-untrusted', untrusted));
    exporter.tls.reload();
    early.send();
    await until('a batch on the old stream', () => exporter.end.batches.length === 2);

    await using old = collectorWith(COLLECTOR, exporter, 'node-b');
    await until('a refusal', () => old.kept.says('reason=tls'));

    made.replace(clientFiles, made.certificate('collector-by-untrusted', untrusted));
    await using late = collectorWith({ ...NONE, ...own(clientFiles), ...trusting(ca) }, exporter, 'node-c');
    late.send();
    await until('a batch of who has the new ones', () => exporter.end.batches.length === 3);
  });

  test('a collector reads its files anew for each attempt', async () => {
    const files = made.certificate('broken-for-a-while', authority);
    await using exporter = await exporterWith(EXPORTER);
    const flags = { ...COLLECTOR, ...own(files) };
    const registry = new Registry();
    const credentials = clientTls(flags, 'exporter.example:6062', SILENT, registry);
    writeFileSync(files.key, 'half written');
    await using collector = new CollectorEnd(exporter.end.port, { credentials, timing: { keepaliveMs: 10_000 } });
    collector.send();
    await until('a line', () => collector.kept.says('reason=tls_files', 'holds no private key', files.key));
    expect(await metric(registry, 'egressd_collector_tls_reload_failures_total')).toBeGreaterThan(0);
    made.replace(files, collectorFiles);
    await until('the batch', () => exporter.end.batches.length === 1);
  });
});

describe('files that cannot be used', () => {
  const missing = join(made.folder, 'missing.pem');
  const noise = join(made.folder, 'noise.pem');
  writeFileSync(noise, 'noise');
  const expired = made.certificate('expired', authority, -1);
  const bundle = join(made.folder, 'bundle.pem');

  test.each<[string, Partial<TlsFlags>, string]>([
    ['a missing certificate', { certFile: missing }, `tls-cert-file ${missing} cannot be read: ENOENT`],
    ['a missing key', { keyFile: missing }, `tls-key-file ${missing} cannot be read: ENOENT`],
    ['a missing authority', { caFile: missing }, `tls-ca-file ${missing} cannot be read: ENOENT`],
    ['noise for a certificate', { certFile: noise }, `tls-cert-file ${noise} holds no certificate in PEM form`],
    ['noise for a key', { keyFile: noise }, `tls-key-file ${noise} holds no private key`],
    ['noise for an authority', { caFile: noise }, `tls-ca-file ${noise} holds no certificate in PEM form`],
    [
      'the key of another',
      { keyFile: collectorFiles.key },
      `is not the key of the certificate in ${exporterFiles.cert}`,
    ],
    ['an expired certificate', own(expired), `tls-cert-file ${expired.cert}: the certificate expired on`],
    ['an expired authority', { caFile: expired.cert }, `tls-ca-file ${expired.cert}: the certificate expired on`],
    ['a certificate without key', { keyFile: '' }, 'tls-cert-file and tls-key-file belong together'],
    ['files and insecure', { insecure: true }, 'contradict each other'],
  ])('%s: said by name, on both sides', (_, change, text) => {
    expect(() => serverTls({ ...EXPORTER, ...change }, SILENT, new Registry())).toThrow(text);
    expect(() => clientTls({ ...EXPORTER, ...change }, 'a:1', SILENT, new Registry())).toThrow(text);
  });

  test('an exporter with an authority and no certificate', () =>
    expect(() => serverTls({ ...NONE, ...trusting(authority) }, SILENT, new Registry())).toThrow(
      'tls-ca-file without tls-cert-file and tls-key-file',
    ));

  test('a bundle may still have an expired authority beside a good one', () => {
    made.join(bundle, expired.cert, authority.cert);
    expect(() => clientTls({ ...NONE, caFile: bundle }, 'a:1', SILENT, new Registry())).not.toThrow();
  });

  test('a bad renewal is said and counted, and the certificates before are kept', async () => {
    const files = made.certificate('to-be-broken', authority);
    const registry = new Registry();
    const kept = new KeptLog();
    const tls = serverTls({ ...EXPORTER, ...own(files) }, kept.log, registry);
    await using end = await ExporterEnd.start({ credentials: tls.credentials });
    writeFileSync(files.cert, 'half written');
    tls.reload();
    expect(kept.says('level=error', 'holds no certificate', files.cert)).toBe(true);
    expect(await metric(registry, 'egressd_exporter_tls_reload_failures_total')).toBe(1);
    await using collector = collectorWith(COLLECTOR, { end });
    collector.send();
    await until('the batch', () => end.batches.length === 1);
    tls.stop();
  });

  test('when a certificate expires is a metric', async () => {
    const registry = new Registry();
    serverTls(EXPORTER, SILENT, registry).stop();
    const seconds = await metric(registry, 'egressd_exporter_tls_certificate_expires_timestamp_seconds');
    expect(Math.round((seconds * 1000 - Date.now()) / 86_400_000)).toBe(30);
  });
});

describe('without certificates', () => {
  test('an exporter listens on loopback', async () => {
    const registry = new Registry();
    expect(serverTls(NONE, SILENT, registry).host).toBe('127.0.0.1');
    expect(await metric(registry, 'egressd_exporter_stream_insecure')).toBe(0);
  });

  test('or everywhere with -insecure, which is logged and is a metric', async () => {
    const registry = new Registry();
    const kept = new KeptLog();
    expect(serverTls({ ...NONE, insecure: true }, kept.log, registry).host).toBe('::');
    expect(kept.says('level=warn', 'reason=insecure')).toBe(true);
    expect(await metric(registry, 'egressd_exporter_stream_insecure')).toBe(1);
  });

  test.each(['127.0.0.1:6062', 'localhost:6062', '[::1]:6062', '127.8.9.1:1'])('a collector talks to %s', (address) => {
    expect(() => clientTls(NONE, address, SILENT, new Registry())).not.toThrow();
  });

  test.each(['exporter:6062', '10.0.0.1:6062', '[fd00::1]:6062', '127.0.0.1.example.com:1'])(
    'a collector does not connect to %s without certificates, unless -insecure',
    async (address) => {
      expect(() => clientTls(NONE, address, SILENT, new Registry())).toThrow(
        `exporter-address ${address} is another host and there are no certificates`,
      );
      const registry = new Registry();
      const kept = new KeptLog();
      clientTls({ ...NONE, insecure: true }, address, kept.log, registry);
      expect(kept.says('level=warn', 'reason=insecure')).toBe(true);
      expect(await metric(registry, 'egressd_collector_stream_insecure')).toBe(1);
    },
  );
});
