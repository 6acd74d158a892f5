// A container through the Docker Engine API, as any client would ask for it: create, wait, start, over connections that
// stay open. The same requests go to Berth and to Docker.

import { Agent, request } from 'node:http';

export interface HostConfig {
  readonly NetworkMode?: string;
  readonly PortBindings?: object;
  readonly Isolation?: string;
}

export class Api {
  readonly #agent = new Agent({ keepAlive: true });
  readonly #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
  }

  /** Runs a container to its end and resolves with its exit code, its removal left to the engine or waited for. */
  async runToExit(
    command: readonly string[],
    hostConfig: HostConfig = {},
    until: 'next-exit' | 'removed' = 'next-exit',
  ): Promise<number> {
    const created = await this.#call('POST', '/v1.41/containers/create', {
      Image: 'busybox',
      Cmd: command,
      // Docker publishes only what is exposed, too.
      ExposedPorts: Object.fromEntries(Object.keys(hostConfig.PortBindings ?? {}).map((port) => [port, {}])),
      HostConfig: { NetworkMode: 'none', AutoRemove: true, ...hostConfig },
    });
    const path = `/v1.41/containers/${created['Id']}`;
    const exit = this.#call('POST', `${path}/wait?condition=${until}`);
    await this.#call('POST', `${path}/start`);
    return Number((await exit)['StatusCode']);
  }

  async containerCount(): Promise<number> {
    const list = await this.#call('GET', '/v1.41/containers/json?all=1');
    return Object.keys(list).length;
  }

  close(): void {
    this.#agent.destroy();
  }

  #call(method: string, path: string, body?: object): Promise<Record<string, unknown>> {
    const text = body === undefined ? '' : JSON.stringify(body);
    const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) };
    return new Promise((resolve, reject) => {
      const options = { socketPath: this.#socket, agent: this.#agent, method, path, headers };
      const sent = request(options, (response) => {
        let answer = '';
        response.on('data', (chunk) => {
          answer += chunk;
        });
        response.on('end', () => {
          if ((response.statusCode ?? 500) >= 400) reject(new Error(`${method} ${path}: ${answer}`));
          else resolve(answer === '' ? {} : JSON.parse(answer));
        });
      });
      sent.on('error', reject);
      sent.end(text);
    });
  }
}
