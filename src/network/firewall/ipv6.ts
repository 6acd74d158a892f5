// IPv6 addresses as numbers.

/** The 32 hexadecimal digits of a valid address. */
export function formatHex(address: string): string {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const groups = (text: string) => (text === '' ? [] : text.split(':'));
  const [head = '', tail] = (dotted === null ? address : `${dotted[1]}${dottedGroups(dotted)}`).split('::');
  const [before, after] = [groups(head), groups(tail ?? '')];
  const zeros = Array<string>(8 - before.length - after.length).fill('0');
  return [...before, ...(tail === undefined ? [] : zeros), ...after]
    .map((group) => group.padStart(4, '0'))
    .join('')
    .toLowerCase();
}

function dottedGroups(dotted: RegExpExecArray): string {
  const [a = 0, b = 0, c = 0, d = 0] = dotted.slice(2).map(Number);
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}
