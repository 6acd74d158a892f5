// Go's way of printing values.

/** As fmt's %v prints it. */
export function printValue(value: unknown): string {
  if (value === undefined) return '<no value>';
  if (value === null) return '<nil>';
  if (Array.isArray(value)) return `[${value.map(printValue).join(' ')}]`;
  if (typeof value === 'object') {
    const pairs = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `map[${pairs.map(([key, item]) => `${key}:${printValue(item)}`).join(' ')}]`;
  }
  return String(value);
}

/** fmt.Sprintf for the verbs %v %s %d %q %t %x %f %e %g %c %%, with flags, width and precision. */
export function sprintf(format: string, values: readonly unknown[]): string {
  let next = 0;
  const text = format.replace(
    /%([-+ 0#]*)(\d+|\*)?(?:\.(\d+))?([a-zA-Z%])/g,
    (_, flags: string, width: string | undefined, precision: string | undefined, verb: string) => {
      if (verb === '%') return '%';
      const wide = width === '*' ? Number(values[next++]) : Number(width ?? 0);
      if (next >= values.length) return `%!${verb}(MISSING)`;
      const shown = convert(
        verb,
        values[next++],
        precision === undefined ? undefined : Number(precision),
        flags,
      );
      return pad(shown, wide, flags);
    },
  );
  const extra = values.slice(next).map((value) => `${goType(value)}=${printValue(value)}`);
  return extra.length === 0 ? text : `${text}%!(EXTRA ${extra.join(', ')})`;
}

function convert(verb: string, value: unknown, precision: number | undefined, flags: string): string {
  const plus = flags.includes('+') && Number(value) >= 0 ? '+' : '';
  switch (verb) {
    case 'd':
      return typeof value === 'number' ? plus + Math.trunc(value) : wrong(verb, value);
    case 'f':
      return typeof value === 'number' ? plus + value.toFixed(precision ?? 6) : wrong(verb, value);
    case 'e':
      return typeof value === 'number' ? value.toExponential(precision ?? 6) : wrong(verb, value);
    case 'x':
      return typeof value === 'number' ? value.toString(16) : Buffer.from(printValue(value)).toString('hex');
    case 'c':
      return typeof value === 'number' ? String.fromCodePoint(value) : wrong(verb, value);
    case 't':
      return typeof value === 'boolean' ? String(value) : wrong(verb, value);
    case 'q':
      return JSON.stringify(printValue(value));
    case 's':
    case 'v':
    case 'g':
      return precision === undefined ? printValue(value) : printValue(value).slice(0, precision);
    default:
      return wrong(verb, value);
  }
}

function wrong(verb: string, value: unknown): string {
  return `%!${verb}(${goType(value)}=${printValue(value)})`;
}

function goType(value: unknown): string {
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float64';
  if (typeof value === 'boolean') return 'bool';
  return typeof value === 'string' ? 'string' : 'map[string]interface {}';
}

function pad(text: string, width: number, flags: string): string {
  if (flags.includes('-')) return text.padEnd(width);
  return flags.includes('0') ? text.padStart(width, '0') : text.padStart(width);
}
