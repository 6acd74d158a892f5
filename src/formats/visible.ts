// Texts from the other side, which may be the workload's own: shown as they are, they would reach the user's terminal.

/** Control characters, and those that have no shape but turn the direction of writing or break lines. */
const HIDDEN = /[\p{Cc}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/gu;

/** The text with what a terminal would obey, or not show, as \n, \t, \xHH or \uHHHH. */
export function visibleText(text: string): string {
  return text.replace(HIDDEN, (character) => {
    if (character === '\n') return '\\n';
    if (character === '\t') return '\\t';
    const code = character.charCodeAt(0);
    return code < 0x80
      ? `\\x${code.toString(16).padStart(2, '0')}`
      : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

/** As `visibleText`, for messages that have lines and columns of their own. */
export function visibleLines(text: string): string {
  return text.replace(/[^\n\t]+/g, visibleText);
}

/** JSON text that shows what it holds, and is still the same JSON. */
export function visibleJson(text: string): string {
  return text.replace(HIDDEN, (character) => {
    if (character === '\n') return character;
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
