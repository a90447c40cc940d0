import { readFileSync } from 'node:fs';
import type { RequestOptions } from 'node:https';

/** What a request to the API server is made with. */
export interface ClientConfig {
  /** Its URL, without a path. */
  readonly server: string;
  /** TLS and credentials of one request. @throws Error, also that of a command that makes tokens */
  requestOptions(): Promise<RequestOptions>;
}

/** The value of the header `Authorization` for the token in a file. @throws Error of the file system, or that the file is empty */
export function bearerToken(file: string): string {
  const token = readFileSync(file, 'utf8').trim();
  if (token === '') throw new Error(`${file} has no token`);
  return `Bearer ${token}`;
}
