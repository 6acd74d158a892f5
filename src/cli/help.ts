// Help texts. The program's own name is `berth` throughout.

import type { Command } from './command.ts';
import type { FlagSpec, FlagSpecs } from './flags.ts';

/** The help of one command. `path` is the name it was called by; `names` are all of them. */
export function commandHelp(path: string, command: Command, names: readonly string[]): string {
  const parts = [`Usage:  ${path} ${command.usage}`.trimEnd(), command.summary];
  if (command.details !== undefined) parts.push(command.details);
  if (names.length > 1) parts.push(`Aliases:\n  ${names.join(', ')}`);
  const options = flagHelp(command.flags);
  if (options !== '') parts.push(`Options:\n${options}`);
  const examples = command.examples.map(([line, why]) => `  berth ${line}\n      ${why}`);
  if (examples.length > 0) parts.push(`Examples:\n${examples.join('\n')}`);
  return `${parts.join('\n\n')}\n`;
}

/** One line a flag, sorted, aligned as Docker's are. */
export function flagHelp(specs: FlagSpecs): string {
  const rows = Object.entries(specs)
    .filter(([, spec]) => spec.hidden !== true)
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, spec]) => [`${shortOf(spec)}--${name}${valueName(spec)}`, spec.help] as const);
  const width = Math.max(0, ...rows.map(([left]) => left.length)) + 3;
  return rows.map(([left, help]) => `  ${left.padEnd(width)}${help}`).join('\n');
}

function shortOf(spec: FlagSpec): string {
  return spec.short === undefined ? '    ' : `-${spec.short}, `;
}

function valueName(spec: FlagSpec): string {
  if (spec.kind === 'bool') return '';
  return ` ${spec.value ?? spec.kind}`;
}

/** A list of names with what they do. */
export function nameTable(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  return rows.map(([name, text]) => `  ${name.padEnd(width)}${text}`).join('\n');
}
