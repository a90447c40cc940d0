import { isIP } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import { ChannelCredentials, ServerCredentials } from '@grpc/grpc-js';
import { Counter, Gauge, type Registry } from 'prom-client';
import { type Log, LogLimiter } from './log.ts';
import { readTlsFiles, TlsError, type TlsFlags, type TlsMaterial, wantsTls } from './tls-files.ts';

/** How often the files are read again. Kubernetes itself takes up to a minute to update a mounted Secret. */
const TLS_RELOAD_MS = 10_000;

/** Self metrics of the stream's protection. */
interface TlsMetrics {
  readonly expires: Gauge;
  readonly failures: Counter;
}

function createTlsMetrics(registry: Registry, daemon: 'collector' | 'exporter', insecure: boolean): TlsMetrics {
  const registers = [registry];
  new Gauge({
    name: `egressd_${daemon}_stream_insecure`,
    help: '1 where the stream between collector and exporter is plain text beyond loopback (-insecure): set the tls-*-file flags.',
    registers,
  }).set(insecure ? 1 : 0);
  return {
    expires: new Gauge({
      name: `egressd_${daemon}_tls_certificate_expires_timestamp_seconds`,
      help: 'When our certificate of the stream expires, Unix seconds; 0: there is none. Renewed files are taken without a restart.',
      registers,
    }),
    failures: new Counter({
      name: `egressd_${daemon}_tls_reload_failures_total`,
      help: 'Times that the certificate files could not be reloaded; the previous ones are kept. The log names the file.',
      registers,
    }),
  };
}

function warnInsecure(log: Log): void {
  log.warn('stream between collector and exporter is plain text, anyone on the network path can read and change it', {
    reason: 'insecure',
    advice: 'set the tls-*-file flags',
  });
}

/** The exporter's side. */
export interface ServerTls {
  readonly credentials: ServerCredentials;
  /** Whether collectors must show a certificate. */
  readonly certificates: boolean;
  /** Where to listen: every address, or where nothing protects the stream only loopback. */
  readonly host: '::' | '127.0.0.1';
  /** Reads the files now, and takes them if they changed and are valid. */
  reload(): void;
  /** Stops reading them. */
  stop(): void;
}

/**
 * Credentials of the receiver. With `tls-ca-file` collectors must show a certificate signed by one of it.
 * @throws TlsError where flags or files cannot be used
 */
export function serverTls(flags: TlsFlags, log: Log, registry: Registry): ServerTls {
  const tls = wantsTls(flags);
  const metrics = createTlsMetrics(registry, 'exporter', flags.insecure);
  if (!tls) {
    if (flags.insecure) warnInsecure(log);
    else
      log.info('no TLS certificates, accepting collectors of this host only', { advice: 'set the tls-*-file flags' });
    const host = flags.insecure ? '::' : '127.0.0.1';
    const credentials = ServerCredentials.createInsecure();
    return { credentials, certificates: false, host, reload() {}, stop() {} };
  }
  if (flags.certFile === '') throw new TlsError('tls-ca-file without tls-cert-file and tls-key-file: set them too');
  const credentials = new RenewableCredentials(readTlsFiles(flags, Date.now()), metrics);
  const logLimiter = new LogLimiter();
  const reload = (): void => {
    try {
      if (credentials.renew(readTlsFiles(flags, Date.now()))) log.info('TLS certificates reloaded');
    } catch (error) {
      if (!(error instanceof TlsError)) throw error;
      metrics.failures.inc();
      logLimiter.limit(error.message, (suppressed) =>
        log.error('TLS certificates could not be reloaded, keeping the previous ones', {
          error: error.message,
          suppressed,
        }),
      );
    }
  };
  const timer = setInterval(reload, TLS_RELOAD_MS).unref();
  return { credentials, certificates: flags.caFile !== '', host: '::', reload, stop: () => clearInterval(timer) };
}

/** Server credentials whose certificates change while the server runs: connections that are open stay. */
class RenewableCredentials extends ServerCredentials {
  readonly #metrics: TlsMetrics;
  #material: TlsMaterial;

  constructor(material: TlsMaterial, metrics: TlsMetrics) {
    const required = material.ca !== undefined;
    super({ requestCert: required, rejectUnauthorized: required }, contextOf(material));
    this.#material = material;
    this.#metrics = metrics;
    this.#showExpiry();
  }

  /** @returns whether anything changed */
  renew(material: TlsMaterial): boolean {
    const before = this.#material;
    const same = (a: Buffer | undefined, b: Buffer | undefined) => (a && b ? a.equals(b) : a === b);
    if (same(before.own?.cert, material.own?.cert) && same(before.own?.key, material.own?.key))
      if (same(before.ca, material.ca)) return false;
    this.#material = material;
    this.#showExpiry();
    this.updateSecureContextOptions(contextOf(material));
    return true;
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }

  #showExpiry(): void {
    this.#metrics.expires.set((this.#material.own?.expiresMs ?? 0) / 1000);
  }
}

function contextOf({ own, ca }: TlsMaterial): SecureContextOptions {
  return { cert: own!.cert, key: own!.key, ca };
}

/** The collector's side: credentials as the files are now, to be asked before each connection. */
export type ClientTls = () => ChannelCredentials;

/**
 * Credentials of a collector. With `tls-ca-file` the exporter's certificate must be signed by one of it, else by one that the
 * system trusts.
 * @param address `host:port` of the exporter
 * @throws TlsError where flags or files cannot be used; so does what it returns
 */
export function clientTls(flags: TlsFlags, address: string, log: Log, registry: Registry): ClientTls {
  const tls = wantsTls(flags);
  if (!tls && !flags.insecure && !isLoopbackHost(hostOf(address)))
    throw new TlsError(
      `exporter-address ${address} is another host and there are no certificates: set tls-ca-file (with tls-cert-file and tls-key-file where the exporter asks for them), or insecure for plain text`,
    );
  const metrics = createTlsMetrics(registry, 'collector', flags.insecure);
  if (!tls) {
    if (flags.insecure) warnInsecure(log);
    return () => ChannelCredentials.createInsecure();
  }
  const read = (): ChannelCredentials => {
    const { own, ca } = readTlsFiles(flags, Date.now());
    metrics.expires.set((own?.expiresMs ?? 0) / 1000);
    return ChannelCredentials.createSsl(ca ?? null, own?.key ?? null, own?.cert ?? null);
  };
  read();
  return () => {
    try {
      return read();
    } catch (error) {
      metrics.failures.inc();
      throw error;
    }
  };
}

/** `host` of `host:port` or `[v6]:port`. */
function hostOf(address: string): string {
  return address.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
}

function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
