// Makes docs/compatibility.md's table from results: node test/compat/write-matrix.ts RESULTS.json
// (RESULTS.json is written by BERTH_COMPAT_RESULTS=RESULTS.json node --test test/compat/docker-cli.test.ts)

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type MatrixEntry, renderMatrix } from './matrix.ts';

const DOCUMENT = join(import.meta.dirname, '../../docs/compatibility.md');
const START = '<!-- matrix: written by test/compat/write-matrix.ts -->';
const END = '<!-- end of matrix -->';

const results = process.argv[2];
if (results === undefined) throw new Error('usage: node test/compat/write-matrix.ts RESULTS.json');
const entries = JSON.parse(await readFile(results, 'utf8')) as MatrixEntry[];
const text = await readFile(DOCUMENT, 'utf8');
const from = text.indexOf(START);
const to = text.indexOf(END);
if (from < 0 || to < 0) throw new Error(`${DOCUMENT} holds no place for the matrix`);
await writeFile(DOCUMENT, `${text.slice(0, from)}${START}\n${renderMatrix(entries)}\n${text.slice(to)}`);
