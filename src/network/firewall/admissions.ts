// The addresses that allowed names resolved to, until they expire.

import { familyOf } from './address-classes.ts';
import { nameSet, type PolicyOwner } from './compile-policy.ts';

/** Seconds; also for names whose owners say less, as clients connect after they have looked up. */
const MIN_SECONDS = 60;
const MAX_SECONDS = 3600;

/** Beyond this, expired ones are forgotten at once. */
const MAX_KNOWN = 4096;

export interface Admission {
  /** Of a name and an owner: `nameSet`. */
  readonly set: string;
  readonly address: string;
  readonly expiresAtMs: number;
}

export function admissionOf(
  owner: PolicyOwner,
  pattern: string,
  address: string,
  ttlSeconds: number,
): Admission {
  const seconds = Math.min(Math.max(ttlSeconds, MIN_SECONDS), MAX_SECONDS);
  return {
    set: nameSet(owner, pattern, familyOf(address)),
    address,
    // Who was told a moment ago connects a moment later.
    expiresAtMs: Date.now() + (seconds + MIN_SECONDS) * 1000,
  };
}

/** What was admitted, as the kernel has it, too. */
export class Admissions {
  readonly #byKey = new Map<string, Admission>();

  /** Those that stay allowed for less long than `wanted`, or are not yet. */
  missing(wanted: readonly Admission[]): Admission[] {
    return wanted.filter((admission) => {
      const known = this.#byKey.get(keyOf(admission))?.expiresAtMs ?? 0;
      // What expires a little earlier is not worth a transaction.
      return known < admission.expiresAtMs - (MIN_SECONDS * 1000) / 2;
    });
  }

  add(admissions: readonly Admission[]): void {
    if (this.#byKey.size > MAX_KNOWN) this.#forgetExpired();
    for (const admission of admissions) this.#byKey.set(keyOf(admission), admission);
  }

  /** Those that are still allowed, in `sets`; forgets the others. */
  current(sets: ReadonlySet<string>): Admission[] {
    this.#forgetExpired();
    for (const [key, { set }] of this.#byKey) if (!sets.has(set)) this.#byKey.delete(key);
    return [...this.#byKey.values()];
  }

  #forgetExpired(): void {
    const now = Date.now();
    for (const [key, { expiresAtMs }] of this.#byKey) if (expiresAtMs <= now) this.#byKey.delete(key);
  }
}

/** Takes the place of an element that is there, whose time could not be changed otherwise. */
export function formatAdmissions(table: string, admissions: readonly Admission[]): string[] {
  return admissions.flatMap(({ set, address, expiresAtMs }) => {
    const seconds = Math.max(1, Math.round((expiresAtMs - Date.now()) / 1000));
    const element = `element inet ${table} ${set}`;
    return [
      `add ${element} { ${address} timeout ${seconds}s }`,
      `delete ${element} { ${address} }`,
      `add ${element} { ${address} timeout ${seconds}s }`,
    ];
  });
}

function keyOf({ set, address }: Admission): string {
  return `${set} ${address}`;
}
