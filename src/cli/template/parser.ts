// Tokens to a tree.

import { TemplateError, type Token, type TokenKind, tokenize } from './lexer.ts';

export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'action'; readonly pipeline: Pipeline }
  | {
      readonly kind: 'if' | 'with' | 'range';
      readonly pipeline: Pipeline;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
    }
  | { readonly kind: 'break' | 'continue' };

export interface Pipeline {
  /** Names, with their dollar signs, that the result is bound to. */
  readonly variables: readonly string[];
  readonly declares: boolean;
  readonly commands: readonly (readonly Operand[])[];
  readonly at: number;
}

export type Operand =
  | { readonly kind: 'literal'; readonly value: unknown; readonly at: number }
  | { readonly kind: 'function'; readonly name: string; readonly at: number }
  /** `.A.B` of the dot, of a variable or of a parenthesis. */
  | { readonly kind: 'path'; readonly base: Base; readonly fields: readonly string[]; readonly at: number };

export type Base = 'dot' | { readonly variable: string } | { readonly pipeline: Pipeline };

/** Parses a whole template. Throws TemplateError. */
export function parseTemplate(source: string): readonly Node[] {
  const parser = new Parser(source);
  const { nodes, stop } = parser.nodes();
  if (stop !== undefined)
    throw new TemplateError(source, stop.at, `unexpected {{${stop.text}}}: nothing is open here`);
  return nodes;
}

class Parser {
  readonly #source: string;
  readonly #tokens: readonly Token[];
  #position = 0;

  constructor(source: string) {
    this.#source = source;
    this.#tokens = tokenize(source);
  }

  /** Nodes up to the end or to {{end}} or {{else…}}, whose word is returned; its {{ is consumed. */
  nodes(): { nodes: Node[]; stop: Token | undefined } {
    const nodes: Node[] = [];
    for (;;) {
      const token = this.#next();
      if (token.kind === 'end') return { nodes, stop: undefined };
      if (token.kind === 'text') {
        nodes.push({ kind: 'text', text: token.text });
        continue;
      }
      const word = this.#peek();
      if (word.kind === 'word' && (word.text === 'end' || word.text === 'else'))
        return { nodes, stop: this.#next() };
      nodes.push(this.#action(word));
    }
  }

  #action(word: Token): Node {
    if (word.kind === 'word' && (word.text === 'break' || word.text === 'continue')) {
      this.#next();
      this.#expect('close', '}}');
      return { kind: word.text };
    }
    if (word.kind === 'word' && (word.text === 'if' || word.text === 'with' || word.text === 'range')) {
      this.#next();
      return this.#block(word.text, word.at);
    }
    const pipeline = this.#pipeline();
    this.#expect('close', '}}');
    return { kind: 'action', pipeline };
  }

  #block(kind: 'if' | 'with' | 'range', at: number): Node {
    const pipeline = this.#pipeline();
    this.#expect('close', '}}');
    const { nodes: body, stop } = this.nodes();
    if (stop === undefined) throw this.#fail(at, `{{${kind}}} has no {{end}}`);
    if (stop.text === 'end') {
      this.#expect('close', '}}');
      return { kind, pipeline, body, otherwise: [] };
    }
    const again = this.#peek();
    if (again.kind === 'word' && (again.text === 'if' || again.text === 'with')) {
      this.#next();
      return { kind, pipeline, body, otherwise: [this.#block(again.text, again.at)] };
    }
    this.#expect('close', '}}');
    const rest = this.nodes();
    if (rest.stop?.text !== 'end') throw this.#fail(at, `{{${kind}}} has no {{end}}`);
    this.#expect('close', '}}');
    return { kind, pipeline, body, otherwise: rest.nodes };
  }

  #pipeline(): Pipeline {
    const at = this.#peek().at;
    const { variables, declares } = this.#variables();
    const commands = [this.#command()];
    while (this.#peek().kind === 'pipe') {
      this.#next();
      commands.push(this.#command());
    }
    return { variables, declares, commands, at };
  }

  /** `$x :=`, `$x =` or `$k, $v :=`; nothing is consumed if there is none. */
  #variables(): { variables: string[]; declares: boolean } {
    const kinds = this.#tokens.slice(this.#position, this.#position + 4).map((token) => token.kind);
    const names = kinds[1] === 'comma' && kinds[2] === 'variable' ? 2 : 1;
    const operator = kinds[names === 2 ? 3 : 1];
    if (kinds[0] !== 'variable' || (operator !== 'declare' && operator !== 'assign')) {
      return { variables: [], declares: false };
    }
    const variables = [this.#next().text];
    if (names === 2) {
      this.#next();
      variables.push(this.#next().text);
    }
    this.#next();
    return { variables, declares: operator === 'declare' };
  }

  #command(): Operand[] {
    const operands: Operand[] = [];
    for (;;) {
      const token = this.#peek();
      if (token.kind === 'close' || token.kind === 'pipe' || token.kind === 'right' || token.kind === 'end')
        break;
      operands.push(this.#operand());
    }
    if (operands.length === 0) throw this.#fail(this.#peek().at, 'a value or a function is missing here');
    return operands;
  }

  #operand(): Operand {
    const token = this.#next();
    const { at } = token;
    switch (token.kind) {
      case 'string':
        return { kind: 'literal', value: this.#unquote(token), at };
      case 'number':
        return { kind: 'literal', value: Number(token.text), at };
      case 'field':
        return { kind: 'path', base: 'dot', fields: [token.text.slice(1), ...this.#fields()], at };
      case 'dot':
        return { kind: 'path', base: 'dot', fields: [], at };
      case 'variable':
        return { kind: 'path', base: { variable: token.text }, fields: this.#fields(), at };
      case 'word':
        return wordOperand(token.text, at);
      case 'left': {
        const pipeline = this.#pipeline();
        this.#expect('right', ')');
        return { kind: 'path', base: { pipeline }, fields: this.#fields(), at };
      }
      default:
        throw this.#fail(at, `unexpected ${token.text || 'end of the template'}`);
    }
  }

  #fields(): string[] {
    const fields: string[] = [];
    while (this.#peek().kind === 'field' && !this.#peek().spaced) fields.push(this.#next().text.slice(1));
    return fields;
  }

  #unquote(token: Token): string {
    if (token.text.startsWith('`')) return token.text.slice(1, -1);
    try {
      return JSON.parse(token.text) as string;
    } catch {
      throw this.#fail(token.at, `malformed string ${token.text}`);
    }
  }

  #peek(): Token {
    return this.#tokens[this.#position] ?? { kind: 'end', text: '', at: this.#source.length, spaced: false };
  }

  #next(): Token {
    const token = this.#peek();
    this.#position++;
    return token;
  }

  #expect(kind: TokenKind, text: string): void {
    const token = this.#next();
    if (token.kind !== kind) throw this.#fail(token.at, `expected ${text}, found ${token.text || 'the end'}`);
  }

  #fail(at: number, message: string): TemplateError {
    return new TemplateError(this.#source, at, message);
  }
}

const CONSTANTS: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['true', true],
  ['false', false],
  ['nil', null],
]);

function wordOperand(name: string, at: number): Operand {
  if (CONSTANTS.has(name)) return { kind: 'literal', value: CONSTANTS.get(name), at };
  return { kind: 'function', name, at };
}
