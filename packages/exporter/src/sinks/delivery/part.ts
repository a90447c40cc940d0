/** A run of units, `to` exclusive. Where a sink sends items, each of them counts as one. */
export interface Part {
  readonly from: number;
  readonly to: number;
}
