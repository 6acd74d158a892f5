// From method and path to a handler. `{}` in a path stands for one part, `{*}` for one or more (names of images).

import { BerthError } from '../../core/index.ts';
import type { Call } from './call.ts';
import { HttpError } from './errors.ts';

export type Handler = (call: Call) => void | Promise<void>;

export interface Route {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly handle: Handler;
  /** Whether the handler takes the connection over from HTTP. */
  readonly hijacks?: boolean;
}

interface Compiled extends Route {
  readonly pattern: RegExp;
}

export class Router {
  /** By method and first part of the path, so that few patterns are tried. */
  readonly #routes = new Map<string, Compiled[]>();

  constructor(routes: readonly Route[]) {
    for (const route of routes) {
      const key = keyOf(route.method, route.path);
      const list = this.#routes.get(key) ?? [];
      list.push({ ...route, pattern: compile(route.path) });
      this.#routes.set(key, list);
    }
  }

  /** The first route that fits, in the order they were given. */
  find(
    method: string,
    path: string,
  ): { readonly route: Route; readonly params: readonly string[] } | undefined {
    for (const route of this.#routes.get(keyOf(method, path)) ?? []) {
      const match = route.pattern.exec(path);
      if (match !== null) return { route, params: match.slice(1) };
    }
    return undefined;
  }

  async dispatch(call: Call): Promise<void> {
    const found = this.find(call.request.method ?? '', call.path);
    if (found === undefined) throw new HttpError(404, 'page not found');
    call.setParams(found.params.map(decodePart));
    await found.route.handle(call);
  }
}

function keyOf(method: string, path: string): string {
  return `${method} ${path.split('/', 2)[1] ?? ''}`;
}

function compile(path: string): RegExp {
  const source = path.replace(/[.]/g, '\\.').replaceAll('{*}', '(.+)').replaceAll('{}', '([^/]+)');
  return new RegExp(`^${source}$`);
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new BerthError('invalid-argument', `the path holds an invalid escape: ${part}`);
  }
}
