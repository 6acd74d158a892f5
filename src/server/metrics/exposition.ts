// The text that Prometheus reads: exposition format 0.0.4, https://prometheus.io/docs/instrumenting/exposition_formats.
// Pure.

export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export type Labels = Readonly<Record<string, string>>;

export interface Metric {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
}

/** Collects samples by metric, as all samples of one must stand together, and writes those metrics that have any. */
export class Exposition {
  readonly #families = new Map<string, { readonly head: string; readonly lines: string[] }>();

  #lines(name: string, type: string, help: string): string[] {
    let family = this.#families.get(name);
    if (family === undefined) {
      family = { head: `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}`, lines: [] };
      this.#families.set(name, family);
    }
    return family.lines;
  }

  /** `labels` as `formatLabels` gives them. What was not measured is left out. */
  add(metric: Metric, labels: string, value: number | undefined): void {
    if (value === undefined) return;
    this.#lines(metric.name, metric.type, metric.help).push(`${metric.name}${braced(labels)} ${value}`);
  }

  /** `within`: how many were at most each bound, in the order of the bounds. */
  addHistogram(name: string, help: string, labels: string, histogram: Histogram): void {
    const { bounds, within, count, sum } = histogram;
    const lines = this.#lines(name, 'histogram', help);
    const bucket = (bound: string, number: number) =>
      lines.push(`${name}_bucket${braced(labels, `le="${bound}"`)} ${number}`);
    for (const [index, bound] of bounds.entries()) bucket(`${bound}`, within[index] ?? 0);
    bucket('+Inf', count);
    lines.push(`${name}_sum${braced(labels)} ${sum}`, `${name}_count${braced(labels)} ${count}`);
  }

  toString(): string {
    const parts = [...this.#families.values()].map(({ head, lines }) => `${head}\n${lines.join('\n')}\n`);
    return parts.join('');
  }
}

export interface Histogram {
  readonly bounds: readonly number[];
  readonly within: readonly number[];
  readonly count: number;
  readonly sum: number;
}

function braced(...labels: readonly string[]): string {
  const text = labels.filter((part) => part !== '').join(',');
  return text === '' ? '' : `{${text}}`;
}

/** Names must be letters, digits and underscores; values may be anything. */
export function formatLabels(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escapeValue(value)}"`)
    .join(',');
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapeValue(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}
