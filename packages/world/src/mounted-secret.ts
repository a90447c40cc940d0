import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TlsFlags } from '@egressd/daemon/tls-files';

/**
 * A Secret as the kubelet mounts it (k8s.io/kubernetes pkg/volume/util/atomic_writer.go):
 *
 *   tls.crt -> ..data/tls.crt     never changes
 *   ..data  -> ..2                swapped by a rename when the Secret has changed: all files at once
 *   ..2/tls.crt                   a new folder for each content; the one before is removed
 */
export class MountedSecret implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'egressd-mounted-'));
  #generation = 0;

  constructor(contents: Readonly<Record<string, string>>) {
    this.update(contents);
    for (const name of Object.keys(contents)) symlinkSync(join('..data', name), join(this.folder, name));
  }

  /** The flags of a daemon that has it mounted. */
  get flags(): TlsFlags {
    const file = (name: string) => join(this.folder, name);
    return { certFile: file('tls.crt'), keyFile: file('tls.key'), caFile: file('ca.crt'), insecure: false };
  }

  /** The same file names, other contents. */
  update(contents: Readonly<Record<string, string>>): void {
    const name = `..${++this.#generation}`;
    mkdirSync(join(this.folder, name));
    for (const [file, text] of Object.entries(contents)) writeFileSync(join(this.folder, name, file), text);
    symlinkSync(name, join(this.folder, '..data_tmp'));
    renameSync(join(this.folder, '..data_tmp'), join(this.folder, '..data'));
    rmSync(join(this.folder, `..${this.#generation - 1}`), { recursive: true, force: true });
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
