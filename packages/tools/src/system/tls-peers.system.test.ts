import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { SILENT } from '@egressd/daemon/log';
import { clientTls, serverTls } from '@egressd/daemon/tls';
import type { TlsFlags } from '@egressd/daemon/tls-files';
import { type CertificateTemplate, issueCertificate, type PemPair } from '@egressd/exporter/certificates/x509';
import { type CertificateFiles, CertificateFolder } from '@egressd/world/certificates';
import { metric, until } from '@egressd/world/observe';
import { type ChannelCredentials, credentials, ServerCredentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { CollectorEnd, ExporterEnd } from './stream-ends.ts';

const HOUR_MS = 3_600_000;
const made = new CertificateFolder();
const authority = made.authority('authority');
const ca = readFileSync(authority.cert);
const exporterFiles = made.certificate('exporter', authority);
const FLAGS: TlsFlags = {
  certFile: exporterFiles.cert,
  keyFile: exporterFiles.key,
  caFile: authority.cert,
  insecure: false,
};
afterAll(() => made[Symbol.dispose]());

/** A certificate by our own hand, which may say anything; nothing looks at it before it is shown. */
function shown(wanted: Partial<CertificateTemplate> & Pick<CertificateTemplate, 'purpose'>): Promise<PemPair> {
  const signer = { certificate: ca.toString('utf8'), key: readFileSync(authority.key, 'utf8') };
  const [notBeforeMs, notAfterMs] = [Date.now() - HOUR_MS, Date.now() + HOUR_MS];
  return issueCertificate({ commonName: 'peer', dnsNames: ['localhost'], notBeforeMs, notAfterMs, ...wanted }, signer);
}

/** A certificate that a daemon would refuse to show, shown all the same. */
function clientShowing({ certificate, key }: PemPair): ChannelCredentials {
  return credentials.createSsl(ca, Buffer.from(key), Buffer.from(certificate));
}

function serverShowing({ certificate, key }: PemPair): ServerCredentials {
  return ServerCredentials.createSsl(
    ca,
    [{ private_key: Buffer.from(key), cert_chain: Buffer.from(certificate) }],
    true,
  );
}

const PAST = { notBeforeMs: Date.now() - 2 * HOUR_MS, notAfterMs: Date.now() - HOUR_MS };
const FUTURE = { notBeforeMs: Date.now() + HOUR_MS, notAfterMs: Date.now() + 2 * HOUR_MS };

async function exporterAsItIs(): Promise<ExporterEnd> {
  const { credentials: own, certificates, stop } = serverTls(FLAGS, SILENT, new Registry());
  stop();
  return ExporterEnd.start({ credentials: own, certificates });
}

function collector({ port }: ExporterEnd, given: ChannelCredentials, node = 'node-a'): CollectorEnd {
  const timing = { keepaliveMs: 10_000, welcomeMs: 2000 };
  return new CollectorEnd(port, { address: `localhost:${port}`, credentials: () => given, node, timing });
}

/** How many handshakes the exporter has counted. */
const failed = (exporter: ExporterEnd, reason: string) =>
  metric(exporter.registry, 'egressd_exporter_receiver_handshakes_failed_total', { reason });

describe('an exporter refuses a collector', () => {
  test.each<[string, Partial<CertificateTemplate>, string | undefined]>([
    ['whose certificate is good: it does not', {}, undefined],
    ['whose certificate has expired', PAST, 'CERT_HAS_EXPIRED'],
    ['whose certificate is not valid yet', FUTURE, 'CERT_NOT_YET_VALID'],
    ["that shows an exporter's certificate", { purpose: 'server' }, 'INVALID_PURPOSE'],
  ])('%s', async (_, wanted, why) => {
    await using exporter = await exporterAsItIs();
    await using client = collector(exporter, clientShowing(await shown({ purpose: 'client', ...wanted })));
    client.send();
    if (why === undefined) {
      await until('the batch', () => exporter.batches.length === 1);
      return;
    }
    await until('a line', () => client.kept.says('reason='));
    await until('a count', async () => (await failed(exporter, 'certificate')) > 0);
    expect(exporter.kept.says('level=warn', 'reason=certificate', `error=${why}`)).toBe(true);
    expect(exporter.batches.length).toBe(0);
  });

  test.each<[string, (port: number) => Socket, string, string]>([
    ['without a certificate', (port) => tls(port), 'no_certificate', 'level=warn'],
    ['that does not take its certificate', (port) => tls(port, { ca: [] }), 'broken', 'level=debug'],
    [
      'that speaks no TLS',
      (port) => connect(port, '127.0.0.1').end('GET / HTTP/1.0\r\n\r\n'),
      'protocol',
      'level=warn',
    ],
    ['that only looks whether the port is open', (port) => connect(port, '127.0.0.1').end(), 'broken', 'level=debug'],
  ])('%s', async (_, open, reason, level) => {
    await using exporter = await exporterAsItIs();
    const socket = open(exporter.port).on('error', () => {});
    await until('a count', async () => (await failed(exporter, reason)) === 1);
    expect(exporter.kept.says(level, `reason=${reason}`)).toBe(true);
    socket.destroy();
  });

  test('and says nothing of one that talks', async () => {
    await using exporter = await exporterAsItIs();
    await using client = collector(exporter, clientShowing(await shown({ purpose: 'client' })));
    client.send();
    await until('the batch', () => exporter.batches.length === 1);
    const counted = await exporter.registry.getSingleMetric('egressd_exporter_receiver_handshakes_failed_total')!.get();
    expect(counted.values).toEqual([]);
  });
});

function tls(port: number, options: ConnectionOptions = {}): Socket {
  return connectTls({ port, host: '127.0.0.1', ALPNProtocols: ['h2'], ca, ...options });
}

describe('a collector refuses an exporter', () => {
  test.each<[string, Partial<CertificateTemplate>, string | undefined]>([
    ['whose certificate is good: it does not', {}, undefined],
    ['whose certificate has expired', PAST, 'expired'],
    ['whose certificate is not valid yet', FUTURE, 'not yet valid'],
    ['that has another name', { dnsNames: ['other.example'] }, "Hostname/IP does not match certificate's altnames"],
    ["that shows a collector's certificate", { purpose: 'client' }, 'purpose'],
  ])('%s', async (_, wanted, words) => {
    const server = serverShowing(await shown({ purpose: 'server', ...wanted }));
    await using exporter = await ExporterEnd.start({ credentials: server });
    const given = clientShowing(await shown({ purpose: 'client' }));
    await using client = collector(exporter, given);
    client.send();
    if (words === undefined) await until('the batch', () => exporter.batches.length === 1);
    else await until('a line', () => client.kept.says('reason=tls', words));
    expect(exporter.batches.length).toBe(words === undefined ? 1 : 0);
  });
});

describe('a certificate that names nodes', () => {
  let files: CertificateFiles;
  beforeAll(() => {
    files = made.certificate('of-node-a', authority, 30, 'URI:egressd://node/node-a,URI:egressd://node/node-b');
  });

  test.each<[string, boolean]>([
    ['node-a', true],
    ['node-b', true],
    ['node-c', false],
  ])('with a collector of %s', async (node, taken) => {
    await using exporter = await exporterAsItIs();
    const flags = { ...FLAGS, certFile: files.cert, keyFile: files.key };
    const given = clientTls(flags, 'localhost:1', SILENT, new Registry());
    await using client = collector(exporter, given(), node);
    client.send();
    if (taken) {
      await until('the batch', () => exporter.batches.length === 1);
    } else {
      const words = 'reports for node node-c, and its certificate is for node-a, node-b';
      await until('a line', () => client.kept.says('reason=permission_denied', words));
      expect(exporter.kept.says('level=warn', words, 'reason=refused')).toBe(true);
      expect(
        await metric(exporter.registry, 'egressd_exporter_receiver_streams_ended_total', { reason: 'refused' }),
      ).toBeGreaterThan(0);
      expect(exporter.batches.length).toBe(0);
    }
  });

  test('does not end the stream of the node that a collector names without right', async () => {
    await using exporter = await exporterAsItIs();
    const any = clientShowing(await shown({ purpose: 'client' }));
    await using rightful = collector(exporter, any, 'node-c');
    rightful.send();
    await until('the batch', () => exporter.batches.length === 1);
    await using liar = collector(exporter, clientShowing(pemOf(files)), 'node-c');
    await until('a line', () => liar.kept.says('reason=permission_denied'));
    rightful.send();
    await until('another batch', () => exporter.batches.length === 2);
    expect(
      await metric(exporter.registry, 'egressd_exporter_receiver_streams_ended_total', { reason: 'superseded' }),
    ).toBe(0);
  });
});

function pemOf({ cert, key }: CertificateFiles): PemPair {
  return { certificate: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
}
