// As much of ELF (64 bit, little endian) as a kernel and its modules need: sections by name, notes, and modinfo.

export interface ElfNote {
  readonly name: string;
  readonly type: number;
  readonly description: Buffer;
}

const PT_NOTE = 4;

function checkHeader(data: Buffer): void {
  if (data.length < 64 || data.readUInt32BE(0) !== 0x7f454c46) throw new RangeError('not an ELF file');
  if (data[4] !== 2 || data[5] !== 1) throw new RangeError('not a 64-bit little-endian ELF file');
}

/** The contents of the first section with this name, or undefined. Throws RangeError when the file is damaged. */
export function elfSection(data: Buffer, name: string): Buffer | undefined {
  checkHeader(data);
  const table = Number(data.readBigUInt64LE(40));
  const entryBytes = data.readUInt16LE(58);
  const count = data.readUInt16LE(60);
  const names = sectionAt(data, table + data.readUInt16LE(62) * entryBytes);
  for (let i = 0; i < count; i++) {
    const header = table + i * entryBytes;
    const at = data.readUInt32LE(header);
    if (names.toString('latin1', at, names.indexOf(0, at)) === name) return sectionAt(data, header);
  }
  return undefined;
}

function sectionAt(data: Buffer, header: number): Buffer {
  const offset = Number(data.readBigUInt64LE(header + 24));
  return data.subarray(offset, offset + Number(data.readBigUInt64LE(header + 32)));
}

/** All notes of the file's note segments. */
export function elfNotes(data: Buffer): ElfNote[] {
  checkHeader(data);
  const table = Number(data.readBigUInt64LE(32));
  const entryBytes = data.readUInt16LE(54);
  const notes: ElfNote[] = [];
  for (let i = 0; i < data.readUInt16LE(56); i++) {
    const header = table + i * entryBytes;
    if (data.readUInt32LE(header) !== PT_NOTE) continue;
    const offset = Number(data.readBigUInt64LE(header + 8));
    notes.push(...parseNotes(data.subarray(offset, offset + Number(data.readBigUInt64LE(header + 32)))));
  }
  return notes;
}

const aligned = (length: number): number => (length + 3) & ~3;

function parseNotes(segment: Buffer): ElfNote[] {
  const notes: ElfNote[] = [];
  let at = 0;
  while (at + 12 <= segment.length) {
    const nameBytes = segment.readUInt32LE(at);
    const descriptionBytes = segment.readUInt32LE(at + 4);
    const type = segment.readUInt32LE(at + 8);
    const description = at + 12 + aligned(nameBytes);
    notes.push({
      name: segment.toString('latin1', at + 12, at + 12 + Math.max(0, nameBytes - 1)),
      type,
      description: segment.subarray(description, description + descriptionBytes),
    });
    at = description + aligned(descriptionBytes);
  }
  return notes;
}

/** The names of the modules that a kernel module says it depends on. */
export function moduleDependencies(module: Buffer): string[] {
  const text = elfSection(module, '.modinfo')?.toString('latin1') ?? '';
  const line = text.split('\0').find((entry) => entry.startsWith('depends='));
  return line === undefined
    ? []
    : line
        .slice('depends='.length)
        .split(',')
        .filter((name) => name !== '');
}
