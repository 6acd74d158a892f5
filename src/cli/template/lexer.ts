// Text and actions of a template as tokens.

export type TokenKind =
  | 'text'
  | 'open'
  | 'close'
  | 'field'
  | 'dot'
  | 'variable'
  | 'word'
  | 'string'
  | 'number'
  | 'pipe'
  | 'comma'
  | 'declare'
  | 'assign'
  | 'left'
  | 'right'
  | 'end';

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  /** Offset in the template. */
  readonly at: number;
  /** Whether white space stands before it. */
  readonly spaced: boolean;
}

/** A fault of a template or of its application, with its place. */
export class TemplateError extends Error {
  constructor(source: string, at: number, message: string) {
    const before = source.slice(0, at).split('\n');
    const column = (before.at(-1)?.length ?? 0) + 1;
    super(`template, line ${before.length}, column ${column}: ${message}`);
    this.name = 'TemplateError';
  }
}

const RULES: readonly (readonly [TokenKind, RegExp])[] = [
  ['string', /"(?:[^"\\\n]|\\.)*"|`[^`]*`/y],
  ['number', /[+-]?(?:0x[0-9a-fA-F]+|\d+(?:\.\d+)?)/y],
  ['field', /\.[\p{L}_][\p{L}\p{N}_]*/uy],
  ['dot', /\./y],
  ['variable', /\$[\p{L}\p{N}_]*/uy],
  ['word', /[\p{L}_][\p{L}\p{N}_]*/uy],
  ['declare', /:=/y],
  ['assign', /=/y],
  ['pipe', /\|/y],
  ['comma', /,/y],
  ['left', /\(/y],
  ['right', /\)/y],
];

/** All tokens, ended by one of kind `end`. */
export function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let trimNext = false;
  for (;;) {
    const open = source.indexOf('{{', at);
    let text = open < 0 ? source.slice(at) : source.slice(at, open);
    if (trimNext) text = text.trimStart();
    const trimBefore = open >= 0 && /^-\s/.test(source.slice(open + 2, open + 4));
    if (trimBefore) text = text.trimEnd();
    if (text !== '') tokens.push({ kind: 'text', text, at, spaced: false });
    if (open < 0) break;
    const action = lexAction(source, open, trimBefore ? 3 : 2);
    tokens.push(...action.tokens);
    at = action.end;
    trimNext = action.trimAfter;
  }
  tokens.push({ kind: 'end', text: '', at: source.length, spaced: false });
  return tokens;
}

function lexAction(source: string, open: number, skip: number) {
  let at = open + skip;
  const comment = /\s*\/\*[\s\S]*?\*\/\s*?( -)?\}\}/y;
  comment.lastIndex = at;
  const found = comment.exec(source);
  if (found !== null) return { tokens: [], end: comment.lastIndex, trimAfter: found[1] !== undefined };
  const tokens: Token[] = [{ kind: 'open', text: '{{', at: open, spaced: false }];
  for (;;) {
    const start = at;
    while (/\s/.test(source.charAt(at))) at++;
    const spaced = at > start;
    const trimAfter = spaced && source.startsWith('-}}', at);
    if (trimAfter || source.startsWith('}}', at)) {
      tokens.push({ kind: 'close', text: '}}', at, spaced });
      return { tokens, end: at + (trimAfter ? 3 : 2), trimAfter };
    }
    if (at >= source.length)
      throw new TemplateError(source, open, 'this action is not closed: }} is missing');
    const token = lexOne(source, at, spaced);
    tokens.push(token);
    at += token.text.length;
  }
}

function lexOne(source: string, at: number, spaced: boolean): Token {
  for (const [kind, rule] of RULES) {
    rule.lastIndex = at;
    const text = rule.exec(source)?.[0];
    if (text !== undefined) return { kind, text, at, spaced };
  }
  const letter = source.charAt(at);
  throw new TemplateError(source, at, letter === '"' ? 'this string is not closed' : `unexpected ${letter}`);
}
