// What `berth doctor` tells.

export interface Finding {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
  /** When something is to be done. */
  readonly remedy?: string;
}
