// The newc cpio archive, the form in which a kernel takes its initial file system. Deterministic: equal entries give
// equal bytes. Source: Documentation/driver-api/early-userspace/buffer-format.rst.

export interface CpioEntry {
  /** Without a leading slash; parents come before their children. */
  readonly path: string;
  /** With the file type bits, e.g. 0o100755. */
  readonly mode: number;
  readonly data?: Uint8Array;
  /** Device number, for device nodes. */
  readonly device?: { readonly major: number; readonly minor: number };
}

const hex = (value: number): string => value.toString(16).padStart(8, '0').toUpperCase();
const padding = (length: number): Buffer => Buffer.alloc((4 - (length & 3)) & 3);

/** An archive of these entries, all owned by root. */
export function encodeCpio(entries: readonly CpioEntry[]): Buffer {
  const parts = entries.flatMap((entry, index) => encodeEntry(entry, index + 1));
  return Buffer.concat([...parts, ...encodeEntry({ path: 'TRAILER!!!', mode: 0 }, 0)]);
}

function encodeEntry(entry: CpioEntry, inode: number): Uint8Array[] {
  const name = Buffer.from(`${entry.path}\0`);
  const data = entry.data ?? Buffer.alloc(0);
  const links = (entry.mode & 0o170000) === 0o040000 ? 2 : 1;
  const { major, minor } = entry.device ?? { major: 0, minor: 0 };
  const fields = [inode, entry.mode, 0, 0, links, 0, data.length, 0, 0, major, minor, name.length, 0];
  const header = Buffer.from(`070701${fields.map(hex).join('')}`);
  return [header, name, padding(header.length + name.length), data, padding(data.length)];
}
