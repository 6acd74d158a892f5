// Programs of a lab's machine, run as its administrator would.

import { execFileSync } from 'node:child_process';

/** The output, without the last newline; what it complains of is shown with the test's. */
export function call(...[file = '', ...args]: string[]): string {
  return execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
}

export function berth(...args: string[]): string {
  return call('berth', ...args);
}

export function removeAll(): void {
  const all = berth('ps', '-aq')
    .split('\n')
    .filter((id) => id !== '');
  if (all.length > 0) berth('rm', '-fv', ...all);
}

/** The command of a web server with a single page, for busybox. */
export const SERVE = ['sh', '-c', 'mkdir -p /www && echo page > /www/index.html && exec httpd -f -h /www'];
