// The reference of all commands as Markdown, made from the same data as `--help`. docs/cli.md is its output.

import { commandHelp } from './help.ts';
import { commands, type Entry, groups, namesOf } from './registry.ts';

const INTRODUCTION = `# Command line reference

Made from the help texts by \`scripts/cli-docs.ts\`; a test keeps it current. Flags follow Docker's conventions: short flags
combine (\`-it\`), values follow after a space or \`=\`, \`--\` ends flags, and for \`run\`, \`create\` and \`exec\` flags end at the
first argument.

| variable | meaning |
|---|---|
| \`BERTH_HOST\` | the daemon: \`unix:///path\` or \`tcp://host:port\` (default \`unix:///run/berth/berth.sock\`) |
| \`BERTH_ROOT\` | the daemon's state (default \`/var/lib/berth\`) |
| \`BERTH_AUTOSTART\` | \`0\`: do not start a daemon when none listens |
| \`BERTH_DAEMON\`, \`BERTH_NODE\` | the daemon's bundle and the Node that runs it, where they are not beside the program |
| \`DOCKER_CONFIG\` | folder of Docker's \`config.json\` with credentials for registries |

| exit code | meaning |
|---|---|
| the workload's own | \`run\`, \`start -a\`, \`attach\`, \`exec\` |
| 1 | the command failed |
| 125 | \`run\` or \`create\` failed, or a flag was wrong |
| 126, 127 | the workload's command could not be executed, or was not found |
| 128+n | signal n ended the workload |
`;

/** The whole reference. */
export async function commandReference(): Promise<string> {
  const seen = new Set<Entry>();
  const sections: string[] = [];
  const grouped = Object.entries(groups).flatMap(([group, { commands: list }]) =>
    Object.entries(list).map(([name, entry]) => [`${group} ${name}`, entry] as const),
  );
  for (const [name, entry] of [...Object.entries(commands), ...grouped]) {
    if (seen.has(entry)) continue;
    seen.add(entry);
    const { command } = await entry.load();
    sections.push(
      `## berth ${name}\n\n\`\`\`\n${commandHelp(`berth ${name}`, command, namesOf(entry))}\`\`\`\n`,
    );
  }
  return [INTRODUCTION, ...sections].join('\n');
}
