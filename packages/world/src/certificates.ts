import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Files of a certificate and its key, PEM. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** A folder of certificates made by `openssl` on the spot, so that none ever expires in a checkout. */
export class CertificateFolder implements Disposable {
  readonly folder: string;

  /** @param folder one that is there already; undefined: a new one */
  constructor(folder: string = mkdtempSync(join(tmpdir(), 'egressd-certificates-'))) {
    this.folder = folder;
  }

  /** A certificate authority. */
  authority(name: string): CertificateFiles {
    const files = this.#files(name);
    openssl(
      'req',
      '-x509',
      ...NEW_KEY,
      '-keyout',
      files.key,
      '-out',
      files.cert,
      '-days',
      '30',
      '-subj',
      `/CN=${name}`,
    );
    return files;
  }

  /**
   * A certificate for both sides of a connection.
   * @param days how long it is valid; negative: it expired so many days ago
   * @param alternative its names, as OpenSSL's configuration writes them
   */
  certificate(
    name: string,
    by: CertificateFiles,
    days = 30,
    alternative = 'DNS:localhost,IP:127.0.0.1',
  ): CertificateFiles {
    const files = this.#files(name);
    const request = join(this.folder, `${name}.request`);
    const names = `subjectAltName=${alternative}`;
    openssl('req', ...NEW_KEY, '-keyout', files.key, '-out', request, '-subj', `/CN=${name}`, '-addext', names);
    const sign = ['-CA', by.cert, '-CAkey', by.key, '-days', String(days), '-copy_extensions', 'copy'];
    openssl('x509', '-req', '-in', request, '-out', files.cert, ...sign);
    return files;
  }

  /** Puts other bytes where a running daemon looks: a renewal. */
  replace(old: CertificateFiles, by: CertificateFiles): void {
    copyFileSync(by.cert, old.cert);
    copyFileSync(by.key, old.key);
  }

  /** Writes several certificates into one file. */
  join(bundle: string, ...certificates: readonly string[]): void {
    writeFileSync(bundle, certificates.map((file) => readFileSync(file, 'utf8')).join(''));
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #files(name: string): CertificateFiles {
    return { cert: join(this.folder, `${name}.pem`), key: join(this.folder, `${name}.key`) };
  }
}

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
