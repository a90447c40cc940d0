/** What a network is, for those whose addresses are no pod's and no node's. Empty: by the numbers of the address. */
export const NETWORK_KINDS = ['private', 'internet', 'cloud'] as const;
export type NetworkKind = (typeof NETWORK_KINDS)[number];

/** A network of the user's, or a cloud's: what is known of all addresses of a range. Empty: not known. Never changed. */
export interface Network {
  readonly name: string;
  /** `private` and `internet`: whatever the numbers say; `cloud`: a service of a cloud, which is public. */
  readonly kind: NetworkKind | '';
  readonly zone: string;
  readonly region: string;
  /** Of a cloud, as the provider calls it: S3, AzureStorage ... */
  readonly service: string;
}

/** Finds the network of an address. */
export interface Networks {
  /** The network of the longest prefix that holds the address at `bytes[at..at+16]`; undefined: none does. */
  find(bytes: Uint8Array, at: number): Network | undefined;
}
