/** A typed array that a structure keeps as a column: one value a row. */
type Column = Float64Array | Uint32Array | Uint16Array | Uint8Array;

/** A longer copy of a column, zeros behind what it held. */
export function grown<C extends Column>(column: C, length: number): C {
  const longer = new (column.constructor as new (length: number) => C)(length);
  longer.set(column);
  return longer;
}
