// Routes and HTTP server in one.

import type { Server } from 'node:http';
import { Router } from './http/router.ts';
import { createHttpServer } from './http/server.ts';
import { allRoutes, type Services } from './routes/index.ts';

export interface ServerOptions extends Services {
  /** Takes one line for each failure that is the daemon's own. */
  readonly log: (line: string) => void;
}

/** The server, not yet listening. */
export function createServer(options: ServerOptions): Server {
  const router = new Router(allRoutes(options));
  return createHttpServer({ router, version: options.version, log: options.log });
}
