import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readTar, type TarInput, writeTar } from './tar.ts';
import { filterTar } from './tar-filter.ts';

async function pack(entries: readonly TarInput[]): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of writeTar(entries)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* slices(data: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size);
}

async function names(data: Buffer, size = 700): Promise<string[]> {
  const found: string[] = [];
  for await (const item of readTar(slices(data, size))) found.push(item.name);
  return found;
}

const long = `${'folder/'.repeat(30)}ünicode-${'x'.repeat(120)}`;

test('entries come out as they were written, with long names and large ids', async () => {
  const data = await pack([
    { name: 'a', type: 'folder' },
    { name: 'a/b', type: 'file', content: 'hello', mode: 0o4755, uid: 3_000_000, gid: 7, mtime: 12345 },
    { name: long, type: 'file', content: slices(Buffer.alloc(1024, 'z'), 100), sizeBytes: 1024 },
    { name: 'l', type: 'symlink', linkName: long },
  ]);
  const seen: unknown[] = [];
  for await (const item of readTar(slices(data, 333))) {
    let content = '';
    for await (const chunk of item.content()) content += chunk.toString();
    seen.push([item.name, item.type, item.mode, item.mtime, item.linkName, content]);
  }
  assert.deepEqual(seen, [
    ['a', 'folder', 0o755, 0, '', ''],
    ['a/b', 'file', 0o4755, 12345, '', 'hello'],
    [long, 'file', 0o644, 0, '', 'z'.repeat(1024)],
    ['l', 'symlink', 0o644, 0, long, ''],
  ]);
});

test('names of bytes, times before 1970 and large owners survive', async () => {
  const name = Buffer.from([0x66, 0xff, 0xfe]).toString('latin1');
  const entries: TarInput[] = [
    { name, type: 'file', content: 'x', uid: 4_000_000_000, gid: 3_000_000, mtime: -1000 },
    { name: `${name.repeat(50)}/l`, type: 'symlink', linkName: name.repeat(40) },
    { name: 'b', type: 'block', device: [7, 200] },
  ];
  const chunks: Buffer[] = [];
  for await (const chunk of writeTar(entries, 'latin1')) chunks.push(chunk);
  const seen: unknown[] = [];
  for await (const { name, linkName, uid, gid, mtime, major, minor } of readTar(
    slices(Buffer.concat(chunks), 333),
    'latin1',
  ))
    seen.push([name, linkName, uid, gid, mtime, major, minor]);
  assert.deepEqual(seen, [
    [name, '', 4_000_000_000, 3_000_000, -1000, 0, 0],
    [`${name.repeat(50)}/l`, name.repeat(40), 0, 0, 0, 0, 0],
    ['b', '', 0, 0, 0, 7, 200],
  ]);
});

test('a source that fails behind the end mark is noticed', async () => {
  const data = await pack([{ name: 'a', type: 'file', content: 'x' }]);
  async function* cut(): AsyncGenerator<Buffer> {
    yield data;
    throw new Error('cut off');
  }
  const read = async () => {
    for await (const _item of readTar(cut()));
  };
  await assert.rejects(read, /cut off/);
  const filter = async () => {
    for await (const _chunk of filterTar(cut(), () => true));
  };
  await assert.rejects(filter, /cut off/);
});

test('content that nobody reads is skipped', async () => {
  const data = await pack([
    { name: 'one', type: 'file', content: 'x'.repeat(5000) },
    { name: 'two', type: 'file', content: '' },
  ]);
  assert.deepEqual(await names(data), ['one', 'two']);
});

test('what is not a tar archive, or half of one, is refused', async () => {
  const data = await pack([{ name: 'one', type: 'file', content: 'x'.repeat(5000) }]);
  await assert.rejects(names(data.subarray(0, 3000)), /ends too early/);
  await assert.rejects(names(data.subarray(0, 100)), /ends too early/);
  await assert.rejects(names(Buffer.alloc(2048, 'no tar')), /not a tar archive/);
  assert.deepEqual(await names(Buffer.alloc(0)), []);
});

test('a stream that is not as long as announced fails', async () => {
  await assert.rejects(
    pack([{ name: 'f', type: 'file', content: slices(Buffer.alloc(10), 5), sizeBytes: 11 }]),
    /10 bytes where 11/,
  );
});

test('a filter leaves entries out and passes the others on byte for byte', async () => {
  const entries: TarInput[] = [
    { name: './a', type: 'folder' },
    { name: './a/b', type: 'file', content: Buffer.alloc(1500, 'b') },
    { name: long, type: 'file', content: 'long' },
    { name: 'c', type: 'file', content: 'c' },
  ];
  const filter = async (data: Buffer, keep: (name: string) => boolean) => {
    const chunks: Buffer[] = [];
    for await (const chunk of filterTar(slices(data, 333), keep)) chunks.push(chunk);
    return Buffer.concat(chunks);
  };
  const whole = await pack(entries);
  assert.deepEqual(await filter(whole, () => true), whole.subarray(0, -1024));
  const some = await filter(whole, (name) => name !== 'a/b' && name !== 'c');
  assert.deepEqual(await names(some), ['./a', long]);
  const asked: string[] = [];
  const hidden = await pack(['./.a', '..b', '/c', 'é'].map((name) => ({ name, type: 'folder' })));
  await filter(hidden, (name) => asked.push(name) > 0);
  assert.deepEqual(asked, ['.a', '..b', 'c', 'Ã©']);
  await assert.rejects(
    filter(whole.subarray(0, 1500), () => true),
    { code: 'invalid-argument' },
  );
});
