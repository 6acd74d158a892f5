// Applies a parsed template to a value.

import { FUNCTION_NAMES, FUNCTIONS, truthy } from './functions.ts';
import { TemplateError } from './lexer.ts';
import type { Node, Operand, Pipeline } from './parser.ts';
import { printValue } from './print.ts';

/** Variables of a block and of those around it. */
class Scope {
  readonly #values = new Map<string, unknown>();
  readonly #outer: Scope | undefined;

  constructor(outer?: Scope) {
    this.#outer = outer;
  }

  declare(name: string, value: unknown): void {
    this.#values.set(name, value);
  }

  /** The scope that holds the name. */
  find(name: string): Scope | undefined {
    return this.#values.has(name) ? this : this.#outer?.find(name);
  }

  get(name: string): unknown {
    return this.#values.get(name);
  }
}

type BlockNode = Extract<Node, { readonly body: readonly Node[] }>;

class LoopControl extends Error {
  readonly kind: 'break' | 'continue';

  constructor(kind: 'break' | 'continue') {
    super(`{{${kind}}} outside of {{range}}`);
    this.kind = kind;
  }
}

/** The text of `nodes` for `data`. Throws TemplateError. */
export function evaluate(nodes: readonly Node[], data: unknown, source: string): string {
  const scope = new Scope();
  scope.declare('$', data);
  const evaluator = new Evaluator(source);
  evaluator.run(nodes, data, scope);
  return evaluator.text;
}

class Evaluator {
  readonly #source: string;
  text = '';
  /** Inside a condition a field that is absent is simply false. */
  #lenient = false;

  constructor(source: string) {
    this.#source = source;
  }

  run(nodes: readonly Node[], dot: unknown, scope: Scope): void {
    for (const node of nodes) {
      if (node.kind === 'text') this.text += node.text;
      else if (node.kind === 'action') {
        const value = this.#pipeline(node.pipeline, dot, scope);
        if (node.pipeline.variables.length === 0) this.text += printValue(value);
      } else if ('body' in node) this.#block(node, dot, new Scope(scope));
      else throw new LoopControl(node.kind);
    }
  }

  #block(node: BlockNode, dot: unknown, scope: Scope): void {
    if (node.kind === 'range') {
      this.#range(node, dot, scope);
      return;
    }
    const before = this.#lenient;
    this.#lenient = true;
    const value = this.#pipeline(node.pipeline, dot, scope);
    this.#lenient = before;
    if (truthy(value)) this.run(node.body, node.kind === 'with' ? value : dot, scope);
    else this.run(node.otherwise, dot, scope);
  }

  #range(node: BlockNode, dot: unknown, scope: Scope): void {
    const { variables } = node.pipeline;
    const value = this.#pipeline({ ...node.pipeline, variables: [] }, dot, scope);
    const items = this.#items(value, node.pipeline.at);
    if (items.length === 0) this.run(node.otherwise, dot, scope);
    for (const [key, item] of items) {
      const inner = new Scope(scope);
      const [first, second] = variables;
      if (second !== undefined) inner.declare(second, item);
      if (first !== undefined) inner.declare(first, second === undefined ? item : key);
      try {
        this.run(node.body, item, inner);
      } catch (error) {
        if (!(error instanceof LoopControl)) throw error;
        if (error.kind === 'break') return;
      }
    }
  }

  #items(value: unknown, at: number): (readonly [unknown, unknown])[] {
    if (value === null || value === undefined) return [];
    if (Array.isArray(value)) return value.map((item, i) => [i, item] as const);
    if (typeof value === 'object') return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    if (typeof value === 'number') return Array.from({ length: value }, (_, i) => [i, i] as const);
    throw this.#fail(at, `range cannot go over ${printValue(value)}`);
  }

  #pipeline(pipeline: Pipeline, dot: unknown, scope: Scope): unknown {
    let value: unknown;
    for (const [i, command] of pipeline.commands.entries()) {
      value = this.#command(command, i === 0 ? [] : [value], dot, scope);
    }
    for (const name of pipeline.variables) {
      const target = pipeline.declares ? scope : scope.find(name);
      if (target === undefined) throw this.#fail(pipeline.at, `variable ${name} is not declared`);
      target.declare(name, value);
    }
    return value;
  }

  /** A value, or a function or method with its arguments; `piped` becomes the last argument. */
  #command(operands: readonly Operand[], piped: readonly unknown[], dot: unknown, scope: Scope): unknown {
    const [head, ...rest] = operands;
    if (head === undefined) return undefined;
    if (head.kind === 'function' && (head.name === 'and' || head.name === 'or')) {
      return this.#shortCircuit(head.name, rest, piped, dot, scope);
    }
    const args = () => [...rest.map((operand) => this.#operand(operand, dot, scope)), ...piped];
    if (head.kind === 'function') return this.#call(head, args());
    const value = this.#operand(head, dot, scope, false);
    if (typeof value === 'function') return this.#guard(head.at, () => value(...args()));
    const extra = rest[0] ?? (piped.length > 0 ? head : undefined);
    if (extra !== undefined)
      throw this.#fail(extra.at, 'an argument was given to something that is not a function');
    return value;
  }

  #shortCircuit(
    name: 'and' | 'or',
    operands: readonly Operand[],
    piped: readonly unknown[],
    dot: unknown,
    scope: Scope,
  ): unknown {
    let value: unknown;
    for (const operand of operands) {
      value = this.#operand(operand, dot, scope);
      if (truthy(value) === (name === 'or')) return value;
    }
    return piped.length > 0 ? piped[0] : value;
  }

  #call(head: { readonly name: string; readonly at: number }, args: readonly unknown[]): unknown {
    const known = Object.hasOwn(FUNCTIONS, head.name) ? FUNCTIONS[head.name] : undefined;
    if (known === undefined) {
      throw this.#fail(head.at, `unknown function ${head.name}; known are ${FUNCTION_NAMES.join(', ')}`);
    }
    return this.#guard(head.at, () => known(...args));
  }

  #guard(at: number, action: () => unknown): unknown {
    try {
      return action();
    } catch (error) {
      throw this.#fail(at, error instanceof Error ? error.message : String(error));
    }
  }

  #operand(operand: Operand, dot: unknown, scope: Scope, call = true): unknown {
    if (operand.kind === 'literal') return operand.value;
    if (operand.kind === 'function') return this.#call(operand, []);
    let value = this.#base(operand, dot, scope);
    for (const field of operand.fields) value = this.#field(value, field, operand.at);
    return call && typeof value === 'function'
      ? this.#guard(operand.at, () => (value as () => unknown)())
      : value;
  }

  #base(operand: Extract<Operand, { kind: 'path' }>, dot: unknown, scope: Scope): unknown {
    const { base } = operand;
    if (base === 'dot') return dot;
    if ('pipeline' in base) return this.#pipeline(base.pipeline, dot, new Scope(scope));
    const holder = scope.find(base.variable);
    if (holder === undefined) throw this.#fail(operand.at, `variable ${base.variable} is not declared`);
    return holder.get(base.variable);
  }

  #field(value: unknown, name: string, at: number): unknown {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      if (Object.hasOwn(value, name)) return (value as Record<string, unknown>)[name];
      if (this.#lenient) return undefined;
      const known = Object.keys(value).join(', ');
      throw this.#fail(at, `there is no field .${name}${known === '' ? '' : `; there are ${known}`}`);
    }
    if (this.#lenient && (value === undefined || value === null)) return undefined;
    throw this.#fail(
      at,
      `cannot take field .${name} of ${value === undefined ? 'nothing' : printValue(value)}`,
    );
  }

  #fail(at: number, message: string): TemplateError {
    return new TemplateError(this.#source, at, message);
  }
}
