import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type CertificateFiles, CertificateFolder } from '../certificates.ts';
import type { World } from '../network/world.ts';

/** How the streams of a world are protected, as flags of both daemons. */
interface StreamFlags {
  readonly exporter: readonly string[];
  readonly collector: readonly string[];
}

/** Plain text is fine in most worlds: the network is made of memory. */
const PLAIN: StreamFlags = { exporter: ['-insecure'], collector: ['-insecure'] };

/** Makes the certificates that the world wants. */
export function streamFlags({ layout, folder }: World): StreamFlags {
  if (!layout.tls) return PLAIN;
  const path = join(folder, 'certificates');
  mkdirSync(path);
  const certificates = new CertificateFolder(path);
  const authority = certificates.authority('egressd-ca');
  const exporter = certificates.certificate('exporter', authority, 1, `IP:${layout.exporterAddress}`);
  const collector = certificates.certificate('collector', authority, 1, 'DNS:egressd-collector');
  return { exporter: flags(exporter, authority), collector: flags(collector, authority) };
}

function flags({ cert, key }: CertificateFiles, authority: CertificateFiles): string[] {
  return [`-tls-cert-file=${cert}`, `-tls-key-file=${key}`, `-tls-ca-file=${authority.cert}`];
}
