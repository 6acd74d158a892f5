// Reading JSON of unknown shape. Absent and null both mean "not given", as they do for Docker's daemon.

/** A value of the wrong type or form; the message names the field by its path. */
export class FieldError extends Error {
  readonly field: string;

  constructor(field: string, why: string) {
    super(`invalid ${field}: ${why}`);
    this.name = 'FieldError';
    this.field = field;
  }
}

type Json = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** The members of one JSON object. Every reader fails with FieldError when the member has another type. */
export class Fields {
  readonly #value: Json;
  readonly #path: string;

  /** `path` names the object in messages; '' for the body itself. */
  constructor(value: unknown, path = '') {
    if (!isObject(value))
      throw new FieldError(path || 'request body', `${kindOf(value)} is not a JSON object`);
    this.#value = value;
    this.#path = path;
  }

  get keys(): readonly string[] {
    return Object.keys(this.#value);
  }

  /** Full name of a member, for messages. */
  name(key: string): string {
    return this.#path === '' ? key : `${this.#path}.${key}`;
  }

  raw(key: string): unknown {
    return Object.hasOwn(this.#value, key) ? (this.#value[key] ?? undefined) : undefined;
  }

  string(key: string): string | undefined {
    const value = this.raw(key);
    if (value === undefined || typeof value === 'string') return value;
    throw this.#wrong(key, value, 'a string');
  }

  boolean(key: string): boolean | undefined {
    const value = this.raw(key);
    if (value === undefined || typeof value === 'boolean') return value;
    throw this.#wrong(key, value, 'true or false');
  }

  integer(key: string): number | undefined {
    const value = this.raw(key);
    if (value === undefined) return undefined;
    if (typeof value === 'number' && Number.isInteger(value)) return value;
    throw this.#wrong(key, value, 'a whole number');
  }

  strings(key: string): readonly string[] | undefined {
    const value = this.raw(key);
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) throw this.#wrong(key, value, 'an array of strings');
    return value.map((item: unknown, index) => {
      if (typeof item === 'string') return item;
      throw new FieldError(`${this.name(key)}[${index}]`, `${kindOf(item)} is not a string`);
    });
  }

  /** An array of strings, or one string that stands for an array of one. */
  words(key: string): readonly string[] | undefined {
    const value = this.raw(key);
    return typeof value === 'string' ? [value] : this.strings(key);
  }

  object(key: string): Fields | undefined {
    const value = this.raw(key);
    return value === undefined ? undefined : new Fields(value, this.name(key));
  }

  objects(key: string): readonly Fields[] | undefined {
    const value = this.raw(key);
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) throw this.#wrong(key, value, 'an array');
    return value.map((item: unknown, index) => new Fields(item, `${this.name(key)}[${index}]`));
  }

  /** Names with string values. */
  map(key: string): Readonly<Record<string, string>> | undefined {
    const fields = this.object(key);
    if (fields === undefined) return undefined;
    return Object.fromEntries(fields.keys.map((name) => [name, fields.string(name) ?? '']));
  }

  /** The names of an object whose values say nothing, e.g. ExposedPorts. */
  names(key: string): readonly string[] | undefined {
    return this.object(key)?.keys;
  }

  #wrong(key: string, value: unknown, wanted: string): FieldError {
    return new FieldError(this.name(key), `${kindOf(value)} is not ${wanted}`);
  }
}

/** `{ [key]: value }`, or nothing when there is no value: for exact optional members. */
export function given<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]: V });
}
