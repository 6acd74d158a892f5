// `berth completion`: print a completion script for a shell.

import { type CommandNames, defineCommand } from '../command.ts';
import { UsageError } from '../errors.ts';

export const command = defineCommand({
  usage: 'bash',
  summary: 'Print a completion script for a shell',
  flags: {},
  args: { min: 1, max: 1 },
  examples: [
    ['completion bash > /etc/bash_completion.d/berth', 'complete commands, flags, workloads and images'],
  ],
  run: async (context, { args }) => {
    if (args[0] !== 'bash') throw new UsageError(`no completion for ${args[0]}: only bash`, 1);
    await context.out.write(bashScript(context.names()));
    return 0;
  },
});

function bashScript({ commands, groups }: CommandNames): string {
  const top = [...commands, ...Object.keys(groups)].join(' ');
  const cases = Object.entries(groups)
    .map(([name, words]) => `    ${name}) words="${words.join(' ')}" ;;`)
    .join('\n');
  return `# bash completion for berth; flags come from the help of each command.
_berth() {
  local current="\${COMP_WORDS[COMP_CWORD]}" command="\${COMP_WORDS[1]}" words=""
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${top}" -- "$current"))
    return
  fi
  if [ "$COMP_CWORD" -eq 2 ]; then
    case "$command" in
${cases}
    esac
    if [ -n "$words" ]; then
      COMPREPLY=($(compgen -W "$words" -- "$current"))
      return
    fi
  fi
  case "$command" in ${Object.keys(groups).join('|')}) command="$command \${COMP_WORDS[2]}" ;; esac
  case "$current" in
    -*) words=$(berth $command --help 2>/dev/null | grep -oE '^  +(-[a-zA-Z], )?--[a-z-]+' | grep -oE -- '--[a-z-]+') ;;
    *)
      case "\${command##* }" in
        run|create|rmi|history|save|tag|compare) words=$(BERTH_AUTOSTART=0 berth images --format '{{.Repository}}:{{.Tag}}' 2>/dev/null) ;;
        start|rm|inspect|logs|stop|kill|restart|exec|attach|wait|top|stats|pause|unpause|rename|update|diff|port|export)
          words=$(BERTH_AUTOSTART=0 berth ps -a --format '{{.Names}}' 2>/dev/null) ;;
      esac ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _berth berth
`;
}
