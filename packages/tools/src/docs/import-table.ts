import { IMPORT_MAP, type Room } from '../import-map.ts';

/** The import map as tables, one a package: which room may import what. */
export function importTables(map = IMPORT_MAP): string {
  const tables = Object.entries(map).map(([name, rooms]) => {
    const rows = Object.entries(rooms).map(([room, its]) => row(room, its));
    return `\`packages/${name}/src\`:\n\n| room | may import | types only | packages |\n| --- | --- | --- | --- |\n${rows.join('')}`;
  });
  return tables.join('\n');
}

function row(room: string, { rooms = [], types = [], packages = [], pure }: Room): string {
  const name = `${room === '' ? 'all of it' : `\`${room}\``}${pure === true ? ' (pure)' : ''}`;
  const cells = [rooms.includes('*') ? 'every room' : list(rooms), list(types), list(packages)];
  return `| ${[name, ...cells].join(' | ')} |\n`;
}

function list(names: readonly string[]): string {
  return shortened(names)
    .map((name) => `\`${name}\``)
    .join(', ');
}

/** Several rooms that differ only below `sinks/` are one: `sinks/.../settings`. */
function shortened(names: readonly string[]): string[] {
  return [...new Set(names.map((name) => name.replace(/^sinks\/(?:.+\/)?settings$/, 'sinks/.../settings')))];
}
