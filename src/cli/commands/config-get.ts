// `berth config get`: one setting of the daemon.

import { defineCommand } from '../command.ts';
import { CliError } from '../errors.ts';

export const command = defineCommand({
  usage: 'NAME',
  summary: 'Print a setting of the daemon',
  flags: {},
  args: { min: 1, max: 1 },
  examples: [['config get vm.pool.memory', 'how much memory machines may hold while they wait']],
  run: async (context, { args: [name = ''] }) => {
    const { config } = await context.client();
    const settings = await config.list();
    const setting = settings.find((one) => one.name === name);
    if (setting === undefined)
      throw new CliError(
        `there is no setting ${name}; there are ${settings.map((one) => one.name).join(', ')}`,
        1,
      );
    await context.out.line(setting.value);
    return 0;
  },
});
