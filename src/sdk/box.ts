// The friendly way to run something: one call, one object that is the running workload.

import { type OutputChunk, outputChunks } from './body.ts';
import type { RawStream } from './call.ts';
import type { BerthClient } from './client.ts';
import type { CreateRequest, WaitAnswer } from './types.ts';

export interface BoxOptions {
  readonly isolation?: 'container' | 'vm';
  readonly name?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly workingDir?: string;
  readonly user?: string;
  /** 'none', 'host' or absent for the default. */
  readonly network?: string;
  readonly memoryBytes?: number;
  readonly cpus?: number;
  /** Keep the workload after its end; otherwise it is removed. */
  readonly keep?: boolean;
  /** Give the process a stdin to write to. */
  readonly stdin?: boolean;
  /** Anything else Docker's create request can say; wins over the rest. */
  readonly request?: Partial<CreateRequest>;
  readonly signal?: AbortSignal;
}

export interface Finished {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running workload. Its output begins with its first byte and waits for its reader. */
export class Box implements AsyncDisposable {
  readonly id: string;
  readonly #client: BerthClient;
  readonly #stream: RawStream;
  readonly #exit: Promise<WaitAnswer>;
  readonly #keep: boolean;

  constructor(client: BerthClient, id: string, stream: RawStream, exit: Promise<WaitAnswer>, keep: boolean) {
    this.id = id;
    this.#client = client;
    this.#stream = stream;
    this.#exit = exit;
    this.#keep = keep;
  }

  /** Output as it comes; may be read once. */
  output(): AsyncIterable<OutputChunk> {
    return outputChunks(this.#stream.output, false);
  }

  write(data: Uint8Array | string): Promise<void> {
    return this.#stream.write(typeof data === 'string' ? Buffer.from(data) : data);
  }

  /** End of file for the process. */
  endInput(): void {
    this.#stream.end();
  }

  async wait(): Promise<number> {
    return (await this.#exit).StatusCode;
  }

  /** All output and the exit code; reads the output, so use it in place of `output`. */
  async finished(): Promise<Finished> {
    const texts = await collect(this.output());
    return { ...texts, exitCode: await this.wait() };
  }

  /** Runs one more command to its end. */
  async exec(
    command: readonly string[],
    options: { user?: string; workingDir?: string } = {},
  ): Promise<Finished> {
    const { user, workingDir } = options;
    const id = await this.#client.execs.create(this.id, {
      Cmd: [...command],
      AttachStdout: true,
      AttachStderr: true,
      ...(user === undefined ? {} : { User: user }),
      ...(workingDir === undefined ? {} : { WorkingDir: workingDir }),
    });
    const stream = await this.#client.execs.start(id);
    const texts = await collect(outputChunks(stream.output, false));
    return { ...texts, exitCode: (await this.#client.execs.inspect(id)).ExitCode ?? 0 };
  }

  async stop(timeoutSeconds?: number): Promise<number> {
    await this.#client.containers.stop(this.id, timeoutSeconds === undefined ? {} : { timeoutSeconds });
    return this.wait();
  }

  /** Ends it and, unless it is to be kept, sees to its removal. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stream.close();
    if (this.#keep) await this.#client.containers.stop(this.id, { timeoutSeconds: 0 });
    else await this.#client.containers.remove(this.id, { force: true, volumes: true }).catch(ignoreGone);
  }
}

/** Creates, attaches and starts; resolves once it runs. Nothing is left when it fails. */
export async function runBox(
  client: BerthClient,
  image: string,
  command: readonly string[],
  options: BoxOptions,
): Promise<Box> {
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  const name = options.name === undefined ? {} : { name: options.name };
  const { Id } = await client.containers.create(boxRequest(image, command, options), { ...name, ...signal });
  try {
    const attach = { stdin: options.stdin === true, stdout: true, stderr: true };
    const [stream, { exit }] = await Promise.all([
      client.containers.attach(Id, attach, signal),
      client.containers.wait(Id, options.keep ? 'next-exit' : 'removed', signal),
    ]);
    await client.containers.start(Id, signal);
    return new Box(client, Id, stream, exit, options.keep === true);
  } catch (error) {
    await client.containers.remove(Id, { force: true, volumes: true }).catch(() => {});
    throw error;
  }
}

function boxRequest(image: string, command: readonly string[], options: BoxOptions): CreateRequest {
  const { workingDir, user, network, memoryBytes, cpus, isolation, stdin } = options;
  return {
    Image: image,
    ...(command.length === 0 ? {} : { Cmd: [...command] }),
    Env: Object.entries(options.env ?? {}).map(([key, value]) => `${key}=${value}`),
    ...(workingDir === undefined ? {} : { WorkingDir: workingDir }),
    ...(user === undefined ? {} : { User: user }),
    AttachStdout: true,
    AttachStderr: true,
    ...(stdin ? { AttachStdin: true, OpenStdin: true, StdinOnce: true } : {}),
    ...options.request,
    HostConfig: {
      AutoRemove: options.keep !== true,
      ...(isolation === undefined ? {} : { Isolation: isolation }),
      ...(network === undefined ? {} : { NetworkMode: network }),
      ...(memoryBytes === undefined ? {} : { Memory: memoryBytes }),
      ...(cpus === undefined ? {} : { NanoCpus: Math.round(cpus * 1e9) }),
      ...options.request?.HostConfig,
    },
  };
}

async function collect(output: AsyncIterable<OutputChunk>): Promise<{ stdout: string; stderr: string }> {
  const chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  for await (const { stream, data } of output) chunks[stream].push(data);
  return { stdout: Buffer.concat(chunks.stdout).toString(), stderr: Buffer.concat(chunks.stderr).toString() };
}

function ignoreGone(error: unknown): void {
  const status = (error as { status?: number }).status;
  if (status !== 404 && status !== 409) throw error;
}
