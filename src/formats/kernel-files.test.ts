import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { extractKernel } from './bzimage.ts';
import { encodeCpio } from './cpio.ts';
import { elfNotes, elfSection, moduleDependencies } from './elf.ts';
import { decodeLz4Legacy, LZ4_LEGACY_MAGIC } from './lz4.ts';

/** A legacy LZ4 frame of ready-made blocks. */
function lz4Frame(...blocks: readonly number[][]): Buffer {
  const magic = Buffer.alloc(4);
  magic.writeUInt32LE(LZ4_LEGACY_MAGIC);
  const parts = blocks.map((block) => {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(block.length);
    return Buffer.concat([length, Buffer.from(block)]);
  });
  return Buffer.concat([magic, ...parts]);
}

const ascii = (text: string): number[] => [...Buffer.from(text)];

/** An ELF file with one note segment and one named section. */
function elfFile(section: string, content: Buffer, note: Buffer): Buffer {
  const names = Buffer.from(`\0${section}\0.shstrtab\0`);
  const header = Buffer.alloc(64);
  header.writeUInt32BE(0x7f454c46, 0);
  header.set([2, 1, 1], 4);
  const noteAt = 64 + 56;
  const contentAt = noteAt + note.length;
  const namesAt = contentAt + content.length;
  const sectionsAt = namesAt + names.length;
  header.writeBigUInt64LE(64n, 32);
  header.writeBigUInt64LE(BigInt(sectionsAt), 40);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(1, 56);
  header.writeUInt16LE(64, 58);
  header.writeUInt16LE(2, 60);
  header.writeUInt16LE(1, 62);
  const program = Buffer.alloc(56);
  program.writeUInt32LE(4, 0);
  program.writeBigUInt64LE(BigInt(noteAt), 8);
  program.writeBigUInt64LE(BigInt(note.length), 32);
  const entry = (name: number, at: number, length: number) => {
    const row = Buffer.alloc(64);
    row.writeUInt32LE(name, 0);
    row.writeBigUInt64LE(BigInt(at), 24);
    row.writeBigUInt64LE(BigInt(length), 32);
    return row;
  };
  const table = [entry(1, contentAt, content.length), entry(section.length + 2, namesAt, names.length)];
  return Buffer.concat([header, program, note, content, names, ...table]);
}

test('LZ4 blocks unpack literals, long lengths and overlapping matches', () => {
  // 3 literals, then a match 3 back of 4 + 15 + 6 bytes, then 2 closing literals.
  const block = [0x3f, ...ascii('abc'), 3, 0, 6, 0x20, ...ascii('zz')];
  const expected = `${'abc'.repeat(10).slice(0, 28)}zz`;
  assert.equal(decodeLz4Legacy(lz4Frame(block), 1000).toString(), expected);
  assert.equal(decodeLz4Legacy(lz4Frame(block, block), 1000).toString(), expected.repeat(2));
});

test('damaged or oversized LZ4 data is refused', () => {
  assert.throws(() => decodeLz4Legacy(Buffer.from('nonsense'), 10), RangeError);
  assert.throws(() => decodeLz4Legacy(lz4Frame([0x1f, 65, 9, 0, 0]), 1000), /outside the block/);
  assert.throws(() => decodeLz4Legacy(lz4Frame([0xf0, 3, 65]), 1000), /past the end/);
  assert.throws(() => decodeLz4Legacy(lz4Frame([0x50, ...ascii('hello')]), 4), /more than 4/);
});

test('the kernel of a bzImage is found and unpacked, whatever packed it', () => {
  const kernel = elfFile('.text', Buffer.from('code'), Buffer.alloc(0));
  const payload = Buffer.concat([gzipSync(kernel), Buffer.alloc(4)]);
  const image = Buffer.alloc(2 * 512 + 16 + payload.length);
  image[0x1f1] = 1;
  image.write('HdrS', 0x202);
  image.writeUInt16LE(0x20f, 0x206);
  image.writeUInt32LE(16, 0x248);
  image.writeUInt32LE(payload.length, 0x24c);
  image.set(payload, 2 * 512 + 16);
  assert.deepEqual(extractKernel(image), kernel);
  image.fill(0xee, 2 * 512 + 16);
  assert.equal(extractKernel(image), undefined);
  assert.throws(() => extractKernel(Buffer.alloc(2000)), /boot header/);
});

test('ELF notes, sections and what a module depends on are read', () => {
  const note = Buffer.alloc(12 + 4 + 4);
  note.writeUInt32LE(4, 0);
  note.writeUInt32LE(4, 4);
  note.writeUInt32LE(18, 8);
  note.write('Xen\0', 12);
  note.writeUInt32LE(0x1000, 16);
  const file = elfFile('.modinfo', Buffer.from('license=GPL\0depends=virtio_ring,virtio\0name=x\0'), note);
  const [found] = elfNotes(file);
  assert.deepEqual([found?.name, found?.type, found?.description.readUInt32LE(0)], ['Xen', 18, 0x1000]);
  assert.deepEqual(moduleDependencies(file), ['virtio_ring', 'virtio']);
  assert.equal(elfSection(file, '.absent'), undefined);
  assert.throws(() => elfSection(Buffer.from('no'), '.x'), /not an ELF file/);
});

test('a cpio archive has aligned newc entries and a trailer', () => {
  const archive = encodeCpio([
    { path: 'dev', mode: 0o40755 },
    { path: 'init', mode: 0o100755, data: Buffer.from('12345') },
  ]);
  assert.equal(archive.length % 4, 0);
  assert.equal(archive.toString('latin1', 0, 6), '070701');
  const second = archive.indexOf('070701', 6);
  assert.equal(second % 4, 0);
  assert.equal(Number.parseInt(archive.toString('latin1', second + 14, second + 22), 16), 0o100755);
  assert.equal(Number.parseInt(archive.toString('latin1', second + 54, second + 62), 16), 5);
  assert.ok(archive.includes(Buffer.concat([Buffer.from('12345'), Buffer.alloc(3), Buffer.from('070701')])));
  assert.ok(archive.includes('TRAILER!!!'));
});
