import { readFile, stat } from 'node:fs/promises';
import { firstMistakes } from '../config/issues.ts';
import type { OwnersState } from '../owners/owner-source.ts';
import { parseInventory } from './parse.ts';

/** A longer file is not read. */
export const MAX_INVENTORY_BYTES = 32 * 1024 * 1024;

/** The inventory cannot be used. It has every mistake, a line each, with file, line, path and what was expected. */
export class InventoryError extends Error {
  override readonly name = 'InventoryError';
  readonly mistakes: readonly string[];

  constructor(mistakes: readonly string[]) {
    super(firstMistakes(mistakes).join('\n'));
    this.mistakes = mistakes;
  }
}

/** Reads an inventory once. @throws InventoryError */
export async function loadInventory(path: string): Promise<OwnersState> {
  const parsed = parseInventory(await readText(path));
  if (!parsed.ok) throw new InventoryError(parsed.mistakes.map((mistake) => `${path}: ${mistake}`));
  return parsed.state;
}

/** Every mistake of an inventory, a line each; none where no inventory is configured. */
export async function inventoryMistakes(path: string | undefined): Promise<readonly string[]> {
  if (path === undefined) return [];
  try {
    await loadInventory(path);
    return [];
  } catch (error) {
    if (error instanceof InventoryError) return error.mistakes;
    throw error;
  }
}

async function readText(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > MAX_INVENTORY_BYTES)
      throw new InventoryError([`${path}: is ${size} bytes long, the maximum is ${MAX_INVENTORY_BYTES}`]);
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof InventoryError) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new InventoryError([`${path}: cannot read the inventory: ${READ_ERRORS[code] ?? code}`]);
  }
}

const READ_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  EISDIR: 'it is a directory',
};
