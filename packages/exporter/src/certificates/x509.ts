import { createPrivateKey, KeyObject, randomBytes, webcrypto } from 'node:crypto';
import { BitString, Integer, OctetString, Utf8String } from 'asn1js';
import {
  AltName,
  AttributeTypeAndValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  CryptoEngine,
  Extension,
  ExtKeyUsage,
  GeneralName,
  type RelativeDistinguishedNames,
  Time,
  TimeType,
} from 'pkijs';

/** A certificate and its private key (PKCS#8), PEM. */
export interface PemPair {
  readonly certificate: string;
  readonly key: string;
}

/** What a certificate is for: its key usages (RFC 5280, 4.2.1.3 and 4.2.1.12). */
type Purpose = 'authority' | 'server' | 'client';

/** What a certificate is issued with. */
export interface CertificateTemplate {
  readonly purpose: Purpose;
  /** For a reader; no program checks it. */
  readonly commonName: string;
  /** Names of a server; empty for others. */
  readonly dnsNames: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** ECDSA on the curve that every TLS library has: NIST P-256. */
const KEY = { name: 'ECDSA', namedCurve: 'P-256' } as const;
/** The same curve, as OpenSSL names it. */
export const CURVE = 'prime256v1';
const HASH = 'SHA-256';
/** RFC 5280, 4.1.2.2: at most 20 octets, positive. */
const SERIAL_BYTES = 16;
/** RFC 5280, 4.1.2.5: later dates are written as GeneralizedTime. */
const FIRST_YEAR_OF_GENERALIZED_TIME = 2050;

const OID = {
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
} as const;
/** The one octet of KeyUsage (digitalSignature is its highest bit), and how many of its low bits are unused. */
const KEY_USAGE = {
  authority: { octet: 0b0000_0110, unused: 1 }, // keyCertSign, cRLSign
  server: { octet: 0b1000_0000, unused: 7 }, // digitalSignature
  client: { octet: 0b1000_0000, unused: 7 },
} as const;
/** id-kp-serverAuth and id-kp-clientAuth: a collector's certificate is not accepted as an exporter's, nor the other way round. */
export const EXTENDED_USAGE = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' } as const;
/** GeneralName's choice `dNSName` (RFC 5280, 4.2.1.6). */
const DNS_NAME = 2;

const engine = new CryptoEngine({ name: 'node', crypto: webcrypto });

/**
 * Issues a certificate with a new key: X.509 v3 (RFC 5280), ECDSA P-256 with SHA-256. With pkijs, which is 4 packages: @peculiar/x509
 * would make this file shorter, with 21 packages and a polyfill of the global `Reflect` beside the authority's key.
 * @param signer the authority; undefined: it is self-signed
 */
export async function issueCertificate(template: CertificateTemplate, signer?: PemPair): Promise<PemPair> {
  const pair = await webcrypto.subtle.generateKey(KEY, true, ['sign', 'verify']);
  const issued = new Certificate({ version: 2, serialNumber: new Integer({ valueHex: serial() }) });
  await issued.subjectPublicKeyInfo.importKey(pair.publicKey, engine);
  issued.notBefore = timeOf(template.notBeforeMs);
  issued.notAfter = timeOf(template.notAfterMs);
  setCommonName(issued.subject, template.commonName);
  const by = signer === undefined ? issued : Certificate.fromBER(derOf(signer.certificate));
  issued.issuer = by.subject;
  issued.extensions = [
    ...usagesOf(template),
    extension(OID.subjectKeyIdentifier, false, new OctetString({ valueHex: await keyIdOf(issued) }).toBER()),
    extension(OID.authorityKeyIdentifier, false, authorityId(await keyIdOf(by))),
  ];
  await issued.sign(signer === undefined ? pair.privateKey : signingKey(signer.key), HASH, engine);
  const key = KeyObject.from(pair.privateKey).export({ type: 'pkcs8', format: 'pem' }) as string;
  return { certificate: pemOf(issued.toSchema().toBER()), key };
}

function usagesOf({ purpose, dnsNames }: CertificateTemplate): Extension[] {
  const { octet, unused } = KEY_USAGE[purpose];
  const keyUsage = new BitString({ valueHex: Uint8Array.of(octet).buffer, unusedBits: unused });
  const usages = [extension(OID.keyUsage, true, keyUsage.toBER())];
  if (purpose === 'authority') {
    const authority = new BasicConstraints({ cA: true, pathLenConstraint: 0 });
    return [extension(OID.basicConstraints, true, authority.toSchema().toBER()), ...usages];
  }
  const extended = new ExtKeyUsage({ keyPurposes: [EXTENDED_USAGE[purpose]] });
  usages.push(extension(OID.extKeyUsage, false, extended.toSchema().toBER()));
  if (dnsNames.length === 0) return usages;
  const names = new AltName({ altNames: dnsNames.map((value) => new GeneralName({ type: DNS_NAME, value })) });
  return [...usages, extension(OID.subjectAltName, false, names.toSchema().toBER())];
}

function extension(extnID: string, critical: boolean, extnValue: ArrayBuffer): Extension {
  return new Extension({ extnID, critical, extnValue });
}

/** Identifies the key that signed: so a verifier finds the right one of two trusted authorities. */
function authorityId(keyId: ArrayBuffer): ArrayBuffer {
  const id = new AuthorityKeyIdentifier({ keyIdentifier: new OctetString({ valueHex: keyId }) });
  return id.toSchema().toBER();
}

/** RFC 5280, 4.2.1.2, method 1. */
function keyIdOf(certificate: Certificate): Promise<ArrayBuffer> {
  return certificate.getKeyHash('SHA-1', engine);
}

function setCommonName(subject: RelativeDistinguishedNames, commonName: string): void {
  subject.typesAndValues.push(
    new AttributeTypeAndValue({ type: OID.commonName, value: new Utf8String({ value: commonName }) }),
  );
}

/** In whole seconds: the RFC forbids fractions, and OpenSSL refuses them. */
function timeOf(ms: number): Time {
  const value = new Date(Math.floor(ms / 1000) * 1000);
  const general = value.getUTCFullYear() >= FIRST_YEAR_OF_GENERALIZED_TIME;
  return new Time({ type: general ? TimeType.GeneralizedTime : TimeType.UTCTime, value });
}

/** Random, with the first octet between 0x40 and 0x7f: positive, and without leading zeros. */
function serial(): ArrayBuffer {
  const bytes = new Uint8Array(randomBytes(SERIAL_BYTES));
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes.buffer;
}

function signingKey(pem: string): webcrypto.CryptoKey {
  return createPrivateKey(pem).toCryptoKey(KEY, false, ['sign']);
}

function derOf(pem: string): Buffer<ArrayBuffer> {
  return Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
}

function pemOf(der: ArrayBuffer): string {
  const lines = Buffer.from(der)
    .toString('base64')
    .match(/.{1,64}/g)!;
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
