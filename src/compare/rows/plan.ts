// What a row and a section of the report are planned as.

import type { CompareColumn, CompareUnit } from '../../wire/compare.ts';

export interface RowPlan {
  readonly id: string;
  readonly label: string;
  readonly unit: CompareUnit;
  readonly better?: 'lower' | 'higher';
  readonly method: string;
  /** Default: the isolations only. */
  readonly columns?: readonly CompareColumn[];
  /** A container has no such thing. */
  readonly onlyVm?: true;
}

export interface SectionPlan {
  readonly id: string;
  readonly title: string;
  readonly about: string;
  readonly rows: readonly RowPlan[];
}

/** The columns of a row that is looked up on the host too. */
export const WITH_HOST: readonly CompareColumn[] = ['host', 'container', 'vm'];
