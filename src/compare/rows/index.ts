// Every row of the report: its name, its unit and how its figure comes about. Data only; nothing is measured here.
// Invariant: an id, once published, keeps its meaning; the conclusion and users' programs cite it.

import { isolation, portability } from './borders.ts';
import { density, resources, size } from './holding.ts';
import type { SectionPlan } from './plan.ts';
import { deploy, work } from './speed.ts';

export type { RowPlan, SectionPlan } from './plan.ts';

/** In the order of the report. */
export const SECTIONS: readonly SectionPlan[] = [
  deploy,
  resources,
  work,
  isolation,
  portability,
  size,
  density,
];
