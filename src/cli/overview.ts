// Help without a command, and what to say of a command that does not exist.

import { nameTable } from './help.ts';
import { commands, groups, type Resolved } from './registry.ts';
import { closest } from './suggest.ts';

type NotACommand = Exclude<Resolved, { kind: 'command' }>;

/** The text and the exit code for a command line that names no command. */
export function overview(found: NotACommand): { readonly text: string; readonly exitCode: number } {
  if (found.kind === 'group') return { text: groupHelp(found.name, found.group), exitCode: 0 };
  const { word, path, among } = found;
  if (word === '' || word === '--help' || word === '-h' || word === 'help')
    return { text: topHelp(), exitCode: 0 };
  if (word.startsWith('-')) {
    return { text: `unknown flag: ${word}\n\nSee '${path} --help'.\n`, exitCode: 125 };
  }
  const near = closest(word, among);
  const hint = near === undefined ? '' : `\nDid you mean '${path} ${near}'?`;
  return {
    text: `berth: '${word}' is not a ${path} command.${hint}\n\nSee '${path} --help'.\n`,
    exitCode: 1,
  };
}

function topHelp(): string {
  const rows = Object.entries(commands).map(([name, entry]) => [name, entry.summary] as const);
  const groupRows = Object.entries(groups).map(([name, group]) => [name, group.summary] as const);
  return `Usage:  berth [-H HOST] COMMAND [ARG...]

Runs the same OCI image as a container or as a virtual machine, and measures the difference.

Commands:
${nameTable(rows)}

Command groups:
${nameTable(groupRows)}

Options:
  -H, --host string   Daemon to speak to (default: $BERTH_HOST or unix:///run/berth/berth.sock)
  -v, --version       Print the version

Run 'berth COMMAND --help' for more on a command.
`;
}

function groupHelp(name: string, group: (typeof groups)[string]): string {
  const rows = Object.entries(group.commands).map(([word, entry]) => [word, entry.summary] as const);
  return `Usage:  berth ${name} COMMAND

${group.summary}

Commands:
${nameTable(rows)}

Run 'berth ${name} COMMAND --help' for more on a command.
`;
}
