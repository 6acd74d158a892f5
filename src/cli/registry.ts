// Every command by its name, each loaded only when it is called.

import type { Command, CommandNames } from './command.ts';

export interface Entry {
  readonly summary: string;
  readonly load: () => Promise<{ readonly command: Command }>;
}

export interface Group {
  readonly summary: string;
  readonly commands: Readonly<Record<string, Entry>>;
  /** Other names of the group. */
  readonly aliases?: readonly string[];
}

const entry = (summary: string, load: Entry['load']): Entry => ({ summary, load });

const run = entry('Create and run a new workload from an image', () => import('./commands/run.ts'));
const create = entry('Create a workload without starting it', () => import('./commands/create.ts'));
const start = entry('Start stopped workloads', () => import('./commands/start.ts'));
const stop = entry('Stop running workloads', () => import('./commands/stop.ts'));
const kill = entry('Send a signal to running workloads', () => import('./commands/kill.ts'));
const restart = entry('Restart workloads', () => import('./commands/restart.ts'));
const rm = entry('Remove workloads', () => import('./commands/rm.ts'));
const ps = entry('List workloads', () => import('./commands/ps.ts'));
const inspect = entry(
  'Show all details of workloads, images, volumes or networks',
  () => import('./commands/inspect.ts'),
);
const logs = entry('Show the output of a workload', () => import('./commands/logs.ts'));
const exec = entry('Run a command in a running workload', () => import('./commands/exec.ts'));
const attach = entry('Connect the terminal to a running workload', () => import('./commands/attach.ts'));
const wait = entry(
  'Wait for workloads to end and print their exit codes',
  () => import('./commands/wait.ts'),
);
const top = entry('Show the processes of a workload', () => import('./commands/top.ts'));
const stats = entry('Show resource use of workloads as it changes', () => import('./commands/stats.ts'));
const pause = entry('Suspend all processes of workloads', () => import('./commands/pause.ts'));
const unpause = entry('Resume paused workloads', () => import('./commands/unpause.ts'));
const rename = entry('Give a workload another name', () => import('./commands/rename.ts'));
const update = entry('Change limits of workloads', () => import('./commands/update.ts'));
const cp = entry('Copy files between a workload and the host', () => import('./commands/cp.ts'));
const commit = entry("Make an image from a workload's files", () => import('./commands/commit.ts'));
const diff = entry("Show changes to a workload's files", () => import('./commands/diff.ts'));
const port = entry('Show published ports of a workload', () => import('./commands/port.ts'));
const exportCommand = entry(
  "Write a workload's files as a tar archive",
  () => import('./commands/export.ts'),
);
const containerPrune = entry('Remove all stopped workloads', () => import('./commands/container-prune.ts'));
const containerInspect = entry(
  'Show all details of workloads',
  () => import('./commands/container-inspect.ts'),
);

const images = entry('List images', () => import('./commands/images.ts'));
const rmi = entry('Remove images', () => import('./commands/rmi.ts'));
const history = entry('Show the history of an image', () => import('./commands/history.ts'));
const load = entry('Load images from a tar archive', () => import('./commands/load.ts'));
const save = entry('Save images to a tar archive', () => import('./commands/save.ts'));
const importCommand = entry(
  'Make an image from a tar archive of files',
  () => import('./commands/import.ts'),
);
const tag = entry('Give an image another name', () => import('./commands/tag.ts'));
const pull = entry('Fetch an image from a registry', () => import('./commands/pull.ts'));
const imageInspect = entry('Show all details of images', () => import('./commands/image-inspect.ts'));
const imagePrune = entry('Remove images that no workload uses', () => import('./commands/image-prune.ts'));
const imageCreate = entry('Make a base image without a registry', () => import('./commands/image-create.ts'));

const fork = entry(
  'Make copies of a running virtual machine that go on where it is',
  () => import('./commands/fork.ts'),
);

const checkpointCommands = {
  create: entry(
    'Keep the running state of a virtual machine',
    () => import('./commands/checkpoint-create.ts'),
  ),
  ls: entry('List checkpoints', () => import('./commands/checkpoint-ls.ts')),
  rm: entry('Remove checkpoints', () => import('./commands/checkpoint-rm.ts')),
  restore: entry(
    'Make workloads that go on where a checkpoint was taken',
    () => import('./commands/checkpoint-restore.ts'),
  ),
};

const configCommands = {
  ls: entry('List the settings of the daemon', () => import('./commands/config-ls.ts')),
  get: entry('Print a setting of the daemon', () => import('./commands/config-get.ts')),
  set: entry('Change a setting of the daemon', () => import('./commands/config-set.ts')),
  unset: entry(
    'Give settings of the daemon their defaults again',
    () => import('./commands/config-unset.ts'),
  ),
};

const volumeCommands = {
  create: entry('Create a volume', () => import('./commands/volume-create.ts')),
  ls: entry('List volumes', () => import('./commands/volume-ls.ts')),
  inspect: entry('Show all details of volumes', () => import('./commands/volume-inspect.ts')),
  rm: entry('Remove volumes', () => import('./commands/volume-rm.ts')),
  backup: entry('Write a volume as a tar archive', () => import('./commands/volume-backup.ts')),
  restore: entry(
    "Replace a volume's content by that of a tar archive",
    () => import('./commands/volume-restore.ts'),
  ),
  prune: entry('Remove volumes that no workload uses', () => import('./commands/volume-prune.ts')),
};

const networkCommands = {
  create: entry('Create a network', () => import('./commands/network-create.ts')),
  ls: entry('List networks', () => import('./commands/network-ls.ts')),
  inspect: entry('Show all details of networks', () => import('./commands/network-inspect.ts')),
  connect: entry(
    'Connect a workload to a network, running or not',
    () => import('./commands/network-connect.ts'),
  ),
  disconnect: entry(
    'Disconnect a workload from a network, running or not',
    () => import('./commands/network-disconnect.ts'),
  ),
  rm: entry('Remove networks', () => import('./commands/network-rm.ts')),
  prune: entry(
    'Remove networks that no workload is connected to',
    () => import('./commands/network-prune.ts'),
  ),
};

const policyCommands = {
  set: entry(
    'Set the policy of a workload, or of all on a network',
    () => import('./commands/policy-set.ts'),
  ),
  show: entry(
    'Show the policy of a workload or a network, and what was counted',
    () => import('./commands/policy-show.ts'),
  ),
  ls: entry('List workloads and networks that have a policy', () => import('./commands/policy-ls.ts')),
  unset: entry('Remove the policy of a workload or a network', () => import('./commands/policy-unset.ts')),
};

const systemUninstall = entry(
  "Take away what Berth made of the host's network: bridges, rules",
  () => import('./commands/system-uninstall.ts'),
);

const events = entry('Show what happens in the daemon, as it happens', () => import('./commands/events.ts'));
const info = entry(
  'Show the daemon, its host and what each isolation can do',
  () => import('./commands/info.ts'),
);
const version = entry('Show the versions of client and daemon', () => import('./commands/version.ts'));
const systemDf = entry('Show disk use', () => import('./commands/system-df.ts'));
const systemPrune = entry('Remove all that is not in use', () => import('./commands/system-prune.ts'));
const compare = entry(
  'Run an image as a container and as a virtual machine and measure the difference',
  () => import('./commands/compare.ts'),
);
const serve = entry('Run the daemon in the foreground', () => import('./commands/serve.ts'));
const completion = entry('Print a completion script for a shell', () => import('./commands/completion.ts'));

/** Commands without a group, in the order of the help. */
export const commands: Readonly<Record<string, Entry>> = {
  compare,
  run,
  create,
  start,
  stop,
  restart,
  kill,
  rm,
  ps,
  inspect,
  logs,
  exec,
  attach,
  wait,
  top,
  stats,
  pause,
  unpause,
  fork,
  rename,
  update,
  cp,
  diff,
  commit,
  port,
  export: exportCommand,
  images,
  pull,
  load,
  save,
  import: importCommand,
  tag,
  rmi,
  history,
  events,
  info,
  version,
  serve,
  completion,
};

export const groups: Readonly<Record<string, Group>> = {
  container: {
    summary: 'Manage workloads',
    commands: {
      run,
      create,
      start,
      stop,
      restart,
      kill,
      rm,
      ls: ps,
      inspect: containerInspect,
      logs,
      exec,
      attach,
      wait,
      top,
      stats,
      pause,
      unpause,
      rename,
      update,
      cp,
      diff,
      commit,
      port,
      export: exportCommand,
      prune: containerPrune,
    },
  },
  image: {
    summary: 'Manage images',
    commands: {
      ls: images,
      create: imageCreate,
      inspect: imageInspect,
      rm: rmi,
      history,
      prune: imagePrune,
      load,
      save,
      import: importCommand,
      tag,
      pull,
    },
  },
  checkpoint: { summary: 'Keep and restore running state of virtual machines', commands: checkpointCommands },
  volume: { summary: 'Manage volumes', commands: volumeCommands },
  network: { summary: 'Manage networks', commands: networkCommands },
  policy: { summary: 'Whom workloads may reach, and who may reach them', commands: policyCommands },
  config: { summary: 'Settings of the daemon', commands: configCommands },
  system: {
    summary: 'Manage the daemon',
    commands: { df: systemDf, prune: systemPrune, info, events, uninstall: systemUninstall },
  },
};

/** Other names: of commands, and of commands within groups. */
export const aliases: Readonly<Record<string, string>> = {
  ls: 'ps',
  list: 'ps',
  containers: 'container',
  volumes: 'volume',
  networks: 'network',
};
const groupAliases: Readonly<Record<string, string>> = { ps: 'ls', list: 'ls', remove: 'rm', rmi: 'rm' };

export type Resolved =
  | {
      readonly kind: 'command';
      readonly path: string;
      readonly entry: Entry;
      readonly argv: readonly string[];
    }
  | { readonly kind: 'group'; readonly name: string; readonly group: Group; readonly argv: readonly string[] }
  | {
      readonly kind: 'none';
      readonly word: string;
      readonly among: readonly string[];
      readonly path: string;
    };

function ownMember<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

/** What a command line without the program's own flags names. */
export function resolve(argv: readonly string[]): Resolved {
  const [word = '', ...rest] = argv;
  const own = ownMember(commands, word);
  if (own !== undefined) return { kind: 'command', path: `berth ${word}`, entry: own, argv: rest };
  const group = ownMember(groups, word);
  if (group !== undefined) return resolveInGroup(word, group, rest);
  const name = ownMember(aliases, word);
  if (name !== undefined) return resolve([name, ...rest]);
  return { kind: 'none', word, among: [...Object.keys(commands), ...Object.keys(groups)], path: 'berth' };
}

function resolveInGroup(name: string, group: Group, argv: readonly string[]): Resolved {
  const [word, ...rest] = argv;
  if (word === undefined || word === '--help' || word === '-h') return { kind: 'group', name, group, argv };
  const real = Object.hasOwn(group.commands, word) ? word : (ownMember(groupAliases, word) ?? word);
  const found = ownMember(group.commands, real);
  if (found === undefined) {
    return { kind: 'none', word, among: Object.keys(group.commands), path: `berth ${name}` };
  }
  return { kind: 'command', path: `berth ${name} ${real}`, entry: found, argv: rest };
}

/** All names under which an entry can be called, the shortest first. */
export function namesOf(entry: Entry): string[] {
  const names: string[] = [];
  for (const [name, candidate] of Object.entries(commands))
    if (candidate === entry) names.push(`berth ${name}`);
  for (const [alias, name] of Object.entries(aliases))
    if (commands[name] === entry) names.push(`berth ${alias}`);
  for (const [groupName, group] of Object.entries(groups)) {
    for (const [name, candidate] of Object.entries(group.commands)) {
      if (candidate === entry) names.push(`berth ${groupName} ${name}`);
    }
  }
  return names;
}

/** The names of all commands and groups. */
export function commandNames(): CommandNames {
  const grouped = Object.entries(groups).map(([name, group]) => [name, Object.keys(group.commands)] as const);
  return { commands: Object.keys(commands), groups: Object.fromEntries(grouped) };
}
