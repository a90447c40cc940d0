/** A range of a cloud. Empty: the provider does not say, or it is everywhere. */
export interface CloudRange {
  readonly cidr: string;
  readonly region: string;
  readonly service: string;
}

/** What a provider's file says, and of which day it is. */
export interface ProviderRanges {
  readonly ranges: readonly CloudRange[];
  readonly date: string;
}

/** A provider: where its file is, and how it is read. Throws where the file is not what it was. */
interface Provider {
  readonly name: string;
  readonly url: string;
  /** Where `url` is a page: the address of the file in it. */
  readonly link?: RegExp;
  parse(file: unknown): ProviderRanges;
}

/** The providers, by name of the option that names their file. */
export const PROVIDERS: readonly Provider[] = [
  { name: 'aws', url: 'https://ip-ranges.amazonaws.com/ip-ranges.json', parse: parseAws },
  { name: 'gcp', url: 'https://www.gstatic.com/ipranges/cloud.json', parse: parseGcp },
  {
    name: 'azure',
    // The file has its date in its name.
    url: 'https://www.microsoft.com/en-us/download/details.aspx?id=56519',
    link: /https:\/\/download\.microsoft\.com\/[\w/-]+\/ServiceTags_Public_\d+\.json/,
    parse: parseAzure,
  },
  { name: 'oracle', url: 'https://docs.oracle.com/en-us/iaas/tools/public_ip_ranges.json', parse: parseOracle },
];

/**
 * https://docs.aws.amazon.com/vpc/latest/userguide/aws-ip-syntax.html: a range of a service stands under AMAZON too, so the most
 * specific service of a range counts.
 */
function parseAws(file: unknown): ProviderRanges {
  const all = [...listOf(file, 'prefixes'), ...listOf(file, 'ipv6_prefixes')];
  const ranges = all.map((one) => ({
    cidr: textOf(one, 'ip_prefix') || textOf(one, 'ipv6_prefix'),
    region: regionOf(textOf(one, 'region')),
    service: textOf(one, 'service'),
  }));
  const rank = ({ service }: CloudRange) => ['AMAZON', 'EC2'].indexOf(service);
  // AMAZON means no service in particular.
  const named = mostSpecific(ranges, (one) => (rank(one) === -1 ? 2 : rank(one)) + (one.service === 'S3' ? 1 : 0));
  const service = (name: string) => (name === 'AMAZON' ? '' : name);
  return {
    ranges: named.map((one) => ({ ...one, service: service(one.service) })),
    date: textOf(file, 'createDate').slice(0, 10),
  };
}

/** https://cloud.google.com/vpc/docs/configure-private-google-access#ip-addr-defaults. */
function parseGcp(file: unknown): ProviderRanges {
  const ranges = listOf(file, 'prefixes').map((one) => ({
    cidr: textOf(one, 'ipv4Prefix') || textOf(one, 'ipv6Prefix'),
    region: regionOf(textOf(one, 'scope')),
    service: '',
  }));
  return { ranges, date: textOf(file, 'creationTime').slice(0, 10) };
}

/** Of more than three thousand tags those of clouds in all, and of what is paid for by the byte. */
const AZURE_SERVICES = ['AzureStorage', 'AzureSQL', 'AzureContainerRegistry', 'AzureCosmosDB', 'AzureEventHub'];

/** https://learn.microsoft.com/azure/virtual-network/service-tags-overview: tags overlap, the one with a service and a region counts. */
function parseAzure(file: unknown): ProviderRanges {
  const ranges = listOf(file, 'values').flatMap((tag) => {
    const properties = fieldOf(tag, 'properties');
    const service = textOf(properties, 'systemService');
    const isCloud = /^AzureCloud(\.|$)/.test(textOf(tag, 'name'));
    if (!isCloud && !AZURE_SERVICES.includes(service)) return [];
    const region = textOf(properties, 'region');
    return listOf(properties, 'addressPrefixes').map((cidr) => ({ cidr: String(cidr), region, service }));
  });
  const rank = ({ region, service }: CloudRange) => (service === '' ? 0 : 2) + (region === '' ? 0 : 1);
  const changes = fieldOf(file, 'changeNumber');
  return { ranges: mostSpecific(ranges, rank), date: `change ${String(changes)}` };
}

/** https://docs.oracle.com/iaas/Content/General/Concepts/addressranges.htm. */
function parseOracle(file: unknown): ProviderRanges {
  const ranges = listOf(file, 'regions').flatMap((one) =>
    listOf(one, 'cidrs').map((range) => {
      const tags = listOf(range, 'tags').map(String);
      const service = ['OBJECT_STORAGE', 'OSN'].find((tag) => tags.includes(tag)) ?? '';
      return { cidr: textOf(range, 'cidr'), region: textOf(one, 'region'), service };
    }),
  );
  return { ranges, date: textOf(file, 'last_updated_timestamp').slice(0, 10) };
}

/** Each range once, by the highest rank. */
function mostSpecific(ranges: readonly CloudRange[], rank: (range: CloudRange) => number): CloudRange[] {
  const best = new Map<string, CloudRange>();
  for (const range of ranges) {
    const known = best.get(range.cidr);
    if (known === undefined || rank(range) > rank(known)) best.set(range.cidr, range);
  }
  return [...best.values()];
}

function regionOf(region: string): string {
  return region.toLowerCase() === 'global' ? '' : region;
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

function textOf(value: unknown, name: string): string {
  const field = fieldOf(value, name);
  return typeof field === 'string' ? field : '';
}

/** @throws Error where there is no list */
function listOf(value: unknown, name: string): readonly unknown[] {
  const field = fieldOf(value, name);
  if (!Array.isArray(field)) throw new Error(`expected a list ${name}`);
  return field;
}
