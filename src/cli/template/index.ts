// Templates for `--format`: the part of Go's text/template that people use with Docker's client.
// Owns: lexing, parsing, evaluation, functions, and Go's way of printing values.
// Never: knows what the data means; a field whose value is a function is called with the arguments given to it.
// Invariant: an error names the place in the template and what was expected there.

import { evaluate } from './evaluate.ts';
import { parseTemplate } from './parser.ts';

export { TemplateError } from './lexer.ts';

export interface Template {
  /** The text for one value. Throws TemplateError. */
  execute(data: unknown): string;
}

/** Compiles a template. Throws TemplateError. */
export function compileTemplate(source: string): Template {
  const nodes = parseTemplate(source);
  return { execute: (data) => evaluate(nodes, data, source) };
}
