// The flag parser: Docker's conventions, which are those of POSIX with long options.

import { UsageError } from './errors.ts';
import { closest } from './suggest.ts';

interface FlagCommon {
  /** One letter. */
  readonly short?: string;
  readonly help: string;
  /** What a value is called in the help, e.g. "list" or "bytes"; absent: from the kind. */
  readonly value?: string;
  /** Accepted but left out of the help. */
  readonly hidden?: boolean;
}

export type FlagSpec =
  | (FlagCommon & { readonly kind: 'bool'; readonly default?: boolean })
  | (FlagCommon & { readonly kind: 'string' | 'int' | 'float' })
  /** May be given more than once. */
  | (FlagCommon & { readonly kind: 'list' });

export type FlagSpecs = Readonly<Record<string, FlagSpec>>;

type ValueOf<S extends FlagSpec> = S['kind'] extends 'bool'
  ? boolean
  : S['kind'] extends 'list'
    ? readonly string[]
    : S['kind'] extends 'string'
      ? string | undefined
      : number | undefined;

/** The values of flags by their long names. */
export type FlagValues<F extends FlagSpecs> = { readonly [K in keyof F]: ValueOf<F[K]> };

export interface Parsed<F extends FlagSpecs> {
  readonly flags: FlagValues<F>;
  readonly args: readonly string[];
  readonly help: boolean;
  /** Names of the flags that were given. */
  readonly given: ReadonlySet<string>;
}

type Value = boolean | string | number | string[] | undefined;

/**
 * Parses what follows a command's name. With `interspersed` false, flags stop at the first positional argument (the
 * rest belongs to the workload). Throws UsageError in the words of Docker's client.
 */
export function parseFlags<F extends FlagSpecs>(
  specs: F,
  argv: readonly string[],
  options: { readonly interspersed: boolean },
): Parsed<F> {
  const parser = new Parser(specs);
  const args: string[] = [];
  const rest = [...argv];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === '--') {
      args.push(...rest);
      break;
    }
    if (word.startsWith('--')) parser.long(word, rest);
    else if (word.startsWith('-') && word !== '-') parser.shorts(word, rest);
    else {
      args.push(word);
      if (options.interspersed) continue;
      args.push(...rest);
      break;
    }
  }
  return { flags: parser.values as FlagValues<F>, args, help: parser.help, given: parser.given };
}

class Parser {
  readonly #specs: FlagSpecs;
  readonly values: Record<string, Value> = {};
  readonly given = new Set<string>();
  help = false;

  constructor(specs: FlagSpecs) {
    this.#specs = specs;
    for (const [name, spec] of Object.entries(specs)) {
      this.values[name] =
        spec.kind === 'list' ? [] : spec.kind === 'bool' ? spec.default === true : undefined;
    }
  }

  long(word: string, rest: string[]): void {
    const cut = word.indexOf('=');
    const name = cut < 0 ? word.slice(2) : word.slice(2, cut);
    const spec = Object.hasOwn(this.#specs, name) ? this.#specs[name] : undefined;
    if (spec === undefined) {
      if (name === 'help') this.help = true;
      else throw unknownFlag(name, Object.keys(this.#specs));
      return;
    }
    if (cut >= 0) this.#set(name, spec, word.slice(cut + 1));
    else if (spec.kind === 'bool') this.#set(name, spec, 'true');
    else this.#set(name, spec, this.#next(rest, `--${name}`));
  }

  shorts(word: string, rest: string[]): void {
    for (let i = 1; i < word.length; i++) {
      const letter = word.charAt(i);
      const found = Object.entries(this.#specs).find(([, spec]) => spec.short === letter);
      if (found === undefined) {
        if (letter !== 'h') throw new UsageError(`unknown shorthand flag: '${letter}' in ${word}`);
        this.help = true;
        continue;
      }
      const [name, spec] = found;
      const tail = word.slice(i + 1);
      if (spec.kind === 'bool' && !tail.startsWith('=')) {
        this.#set(name, spec, 'true');
        continue;
      }
      const value = tail.startsWith('=') ? tail.slice(1) : tail;
      this.#set(name, spec, tail === '' ? this.#next(rest, `'${letter}' in ${word}`) : value);
      return;
    }
  }

  #next(rest: string[], what: string): string {
    const value = rest.shift();
    if (value === undefined) throw new UsageError(`flag needs an argument: ${what}`);
    return value;
  }

  #set(name: string, spec: FlagSpec, text: string): void {
    this.given.add(name);
    const list = this.values[name];
    if (Array.isArray(list)) list.push(text);
    else this.values[name] = convert(name, spec, text);
  }
}

function convert(name: string, spec: FlagSpec, text: string): Value {
  if (spec.kind === 'string') return text;
  if (spec.kind === 'bool') {
    if (/^(true|t|1)$/i.test(text)) return true;
    if (/^(false|f|0)$/i.test(text)) return false;
    throw invalid(name, spec, text, 'expected true or false');
  }
  const number = Number(text);
  if (text.trim() === '' || !Number.isFinite(number)) throw invalid(name, spec, text, 'expected a number');
  if (spec.kind === 'int' && !Number.isInteger(number))
    throw invalid(name, spec, text, 'expected a whole number');
  return number;
}

function invalid(name: string, spec: FlagSpec, text: string, why: string): UsageError {
  const flag = spec.short === undefined ? `--${name}` : `-${spec.short}, --${name}`;
  return new UsageError(`invalid argument ${JSON.stringify(text)} for "${flag}" flag: ${why}`);
}

function unknownFlag(name: string, known: readonly string[]): UsageError {
  const near = closest(name, known);
  return new UsageError(`unknown flag: --${name}${near === undefined ? '' : `\nDid you mean --${near}?`}`);
}
