// Columns, aligned as Docker's are.

import { visibleText } from '../../formats/visible.ts';

const MIN_WIDTH = 10;
const GAP = 3;

/** Lines of cells, each column as wide as its widest cell. The last cell of a line is not padded. Control characters are shown. */
export function alignColumns(lines: readonly (readonly string[])[]): string {
  const rows = lines.map((cells) => cells.map(visibleText));
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.slice(0, -1).entries()) {
      widths[i] = Math.max(widths[i] ?? MIN_WIDTH, displayWidth(cell) + GAP);
    }
  }
  const aligned = rows.map((row) =>
    row
      .map((cell, i) =>
        i === row.length - 1 ? cell : cell + ' '.repeat(Math.max(0, (widths[i] ?? 0) - displayWidth(cell))),
      )
      .join('')
      .trimEnd(),
  );
  return aligned.map((line) => `${line}\n`).join('');
}

/** Columns a text takes on a terminal: East Asian wide characters and emoji take two. */
function displayWidth(text: string): number {
  let width = 0;
  for (const character of text)
    width +=
      /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff00-\uff60]/u.test(
        character,
      )
        ? 2
        : 1;
  return width;
}
