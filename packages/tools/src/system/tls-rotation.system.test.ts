import { join } from 'node:path';
import { connect } from 'node:tls';
import { SILENT } from '@egressd/daemon/log';
import { clientTls, type ServerTls, serverTls } from '@egressd/daemon/tls';
import { readTlsFiles, type TlsFlags } from '@egressd/daemon/tls-files';
import type { CertificateSet, SecretData } from '@egressd/exporter/certificates/certificate-set';
import { type RenewalPolicy, renewCertificates } from '@egressd/exporter/certificates/renewal';
import { MountedSecret } from '@egressd/world/mounted-secret';
import { KeptLog, until } from '@egressd/world/observe';
import { expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { CollectorEnd, ExporterEnd } from './stream-ends.ts';

const DAY_MS = 86_400_000;
const NOW = Date.now();
const POLICY: RenewalPolicy = {
  dnsNames: ['localhost'],
  validityMs: 90 * DAY_MS,
  renewBeforeMs: 30 * DAY_MS,
  authorityValidityMs: 365 * DAY_MS,
};
const EMPTY: SecretData = { 'ca.crt': '', 'tls.crt': '', 'tls.key': '' };
const files = (data: SecretData) => ({ ...data });

/** What the Secrets hold after a run so many days ago. */
async function after(held: CertificateSet | undefined, daysAgo: number): Promise<CertificateSet> {
  const nothing = { authority: EMPTY, exporter: EMPTY, collector: EMPTY };
  const { authority, exporter, collector } = await renewCertificates(held ?? nothing, POLICY, NOW - daysAgo * DAY_MS);
  return { authority: authority.data, exporter: exporter.data, collector: collector.data };
}

/** The two ends, each with its Secret mounted. */
class Ends implements AsyncDisposable {
  readonly exporterFiles: MountedSecret;
  readonly collectorFiles: MountedSecret;
  readonly kept = new KeptLog();
  readonly #tls: ServerTls;
  readonly exporter: ExporterEnd;
  #streams = 0;

  private constructor(
    exporterFiles: MountedSecret,
    collectorFiles: MountedSecret,
    tls: ServerTls,
    exporter: ExporterEnd,
  ) {
    this.exporterFiles = exporterFiles;
    this.collectorFiles = collectorFiles;
    this.#tls = tls;
    this.exporter = exporter;
  }

  static async start({ exporter, collector }: CertificateSet): Promise<Ends> {
    const mounted = new MountedSecret(files(exporter));
    const tls = serverTls(mounted.flags, SILENT, new Registry());
    const end = await ExporterEnd.start({ credentials: tls.credentials, certificates: tls.certificates });
    return new Ends(mounted, new MountedSecret(files(collector)), tls, end);
  }

  /** The kubelet has seen the exporter's Secret, and the exporter has looked. */
  exporterSees({ exporter }: CertificateSet): void {
    this.exporterFiles.update(files(exporter));
    this.#tls.reload();
  }

  collectorSees({ collector }: CertificateSet): void {
    this.collectorFiles.update(files(collector));
  }

  connect(): CollectorEnd {
    const { port } = this.exporter;
    const address = `localhost:${port}`;
    const credentials = clientTls(this.collectorFiles.flags, address, SILENT, new Registry());
    const timing = { keepaliveMs: 10_000, welcomeMs: 2000 };
    return new CollectorEnd(port, { address, credentials, node: `node-${++this.#streams}`, timing });
  }

  /** A new stream brings a batch. */
  async agree(): Promise<void> {
    await using client = this.connect();
    await this.brings(client);
  }

  async brings(client: CollectorEnd): Promise<void> {
    const before = this.exporter.batches.length;
    client.send();
    await until('a batch', () => this.exporter.batches.length > before);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#tls.stop();
    await this.exporter[Symbol.asyncDispose]();
    this.exporterFiles[Symbol.dispose]();
    this.collectorFiles[Symbol.dispose]();
  }
}

test('renewed certificates are taken while both run, whichever sees its Secret first', async () => {
  const old = await after(undefined, 61);
  const renewed = await after(old, 0);
  expect(renewed.exporter['tls.crt']).not.toBe(old.exporter['tls.crt']);
  await using ends = await Ends.start(old);
  await using early = ends.connect();
  await ends.brings(early);
  ends.exporterSees(renewed);
  await ends.agree();
  ends.collectorSees(renewed);
  await ends.agree();
  await ends.brings(early);
});

test('a new authority is taken while both run, at each step and whichever sees its Secret first', async () => {
  const steps = [await after(undefined, 246.5)];
  // Leaves are renewed as the days go; then the authority is introduced, signs, and is alone.
  for (const daysAgo of [186, 126, 66, 6, 1.5, 0.9, 0.3]) steps.push(await after(steps.at(-1), daysAgo));
  const [before, introduced, signing, alone] = steps.slice(-4) as [
    CertificateSet,
    CertificateSet,
    CertificateSet,
    CertificateSet,
  ];
  const authorities = (held: CertificateSet) => held.exporter['ca.crt'].split('BEGIN').length - 1;
  expect([before, introduced, signing, alone].map(authorities)).toEqual([1, 2, 2, 1]);
  expect(signing.exporter['tls.crt']).not.toBe(introduced.exporter['tls.crt']);
  expect(signing.authority['tls.crt']).not.toBe(before.authority['tls.crt']);

  await using ends = await Ends.start(before);
  await using early = ends.connect();
  await ends.brings(early);
  for (const [at, held] of [introduced, signing, alone].entries()) {
    if (at % 2 === 0) ends.exporterSees(held);
    else ends.collectorSees(held);
    await ends.agree();
    if (at % 2 === 0) ends.collectorSees(held);
    else ends.exporterSees(held);
    await ends.agree();
    await ends.brings(early);
  }
});

test('certificates that were made anew without overlap are refused until both have them', async () => {
  const [old, anew] = [await after(undefined, 1), await after(undefined, 0)];
  await using ends = await Ends.start(old);
  ends.exporterSees(anew);
  await using client = ends.connect();
  client.send();
  await until('a refusal', () => client.kept.says('reason=tls'));
  ends.collectorSees(anew);
  await until('the batch', () => ends.exporter.batches.length === 1);
});

test('files that are swapped while they are read are read again', async () => {
  const [old, anew] = [await after(undefined, 1), await after(undefined, 0)];
  using mounted = new MountedSecret(files(old.exporter));
  let reads = 0;
  const flags: TlsFlags = {
    ...mounted.flags,
    // Asked for after the certificate has been read.
    get keyFile() {
      if (++reads === 2) mounted.update(files(anew.exporter));
      return join(mounted.folder, 'tls.key');
    },
  };
  expect(readTlsFiles(flags, NOW).own?.cert.toString()).toBe(anew.exporter['tls.crt']);
});

/** A handshake as a collector makes it, until HTTP/2 says a word. @returns a ticket for a shorter one, and whether `session` was taken for one */
async function shake(port: number, { collector }: CertificateSet, trusted: string, session?: Buffer) {
  const { 'tls.crt': cert, 'tls.key': key } = collector;
  const socket = connect({ port, host: 'localhost', ALPNProtocols: ['h2'], ca: trusted, cert, key, session });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let ticket: Buffer | undefined;
  socket.on('session', (one) => {
    ticket = one;
  });
  socket.on('data', () => resolve()).on('error', reject);
  socket.on('close', () => reject(new Error('closed without a word')));
  try {
    await promise;
    return { ticket, reused: socket.isSessionReused() };
  } finally {
    socket.destroy();
  }
}

test('a session from before an authority was removed opens nothing after it', async () => {
  const [old, anew] = [await after(undefined, 1), await after(undefined, 0)];
  await using ends = await Ends.start(old);
  const { port } = ends.exporter;
  const both = `${old.exporter['ca.crt']}${anew.exporter['ca.crt']}`;
  const { ticket } = await shake(port, old, both);
  expect((await shake(port, old, both, ticket)).reused).toBe(true);
  ends.exporterSees(anew);
  await expect(shake(port, old, both, ticket)).rejects.toThrow();
  expect((await shake(port, anew, both)).reused).toBe(false);
});
