// nftables, through one nft program that is kept open: a transaction takes well under a millisecond in it, and several
// in a program of its own.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BerthError, isBerthError } from '../core/index.ts';
import { within } from './patience.ts';
import { run, type StreamChild, spawnStream } from './process.ts';

/** It reads what is typed byte by byte; what is longer goes through a file. */
const MAX_TYPED_BYTES = 1000;

/** Its editing library remembers every line. */
const LINES_PER_PROGRAM = 2000;

/** A transaction of thousands of rules takes a second or two. */
const APPLY_LIMIT_MS = 120_000;
/** More than a listing of all rules: it does not answer in words that are understood. */
const MAX_OUTPUT_CHARACTERS = 64 << 20;

/** Its history must not land in anybody's home. */
const ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin',
  HOME: '/nonexistent',
  LANG: 'C',
};

export class Nft {
  readonly #folder: string;
  #program: NftProgram | undefined;
  #lines = 0;

  /** `folder`, made when it is needed, is for transactions under way: what a process that was killed left there is written over. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Does all of `commands` or nothing, in the order of the calls; resolves with what was printed. Fails with `internal`
   * and nft's own words, or with `unavailable` when there is no nft.
   */
  async apply(commands: readonly string[]): Promise<string> {
    if (commands.length === 0) return '';
    if (this.#program?.ended !== false || ++this.#lines > LINES_PER_PROGRAM) {
      // What it was told before it does first.
      const before = this.#program?.finish();
      this.#lines = 1;
      this.#program = new NftProgram(this.#folder, before);
    }
    const lines = commands.map((command) => command.replaceAll('\n', ' '));
    const typed = lines.join('; ');
    return await this.#program.apply(typed.length <= MAX_TYPED_BYTES ? typed : { file: lines.join('\n') });
  }

  /** `nft --json list …`, by a program of its own: for looking, not for starts. */
  async list(...what: readonly string[]): Promise<readonly Record<string, unknown>[]> {
    const { stdout } = await run('nft', ['--json', 'list', ...what], { env: ENVIRONMENT });
    return (JSON.parse(stdout) as { nftables: Record<string, unknown>[] }).nftables;
  }

  /** Resolves when all is done; what was applied stays. */
  async close(): Promise<void> {
    await this.#program?.finish();
    this.#program = undefined;
  }
}

interface Pending {
  /** A word that nft does not know: its complaint about it comes after all that was said before. */
  readonly mark: string;
  readonly resolve: (output: string) => void;
  readonly reject: (error: BerthError) => void;
}

class NftProgram {
  ended = false;
  /** sh joins the two outputs, so that their order is certain. */
  readonly #child: StreamChild = spawnStream('sh', ['-c', 'exec nft -i 2>&1'], { env: ENVIRONMENT });
  readonly #pending: Pending[] = [];
  readonly #folder: string;
  readonly #turn: Promise<void>;
  readonly #end: Promise<void>;
  #marks = 0;
  #files = 0;
  #text = '';

  /** Does nothing until `before` has resolved. */
  constructor(folder: string, before: Promise<void> = Promise.resolve()) {
    this.#folder = folder;
    this.#turn = before;
    this.#child.stdin.on('error', () => {});
    this.#child.stderr.resume();
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    this.#end = this.#child.exit.then(
      ({ code, signal }) =>
        this.#ended(unavailable(signal === null ? `nft ended with status ${code}` : crash(signal))),
      (error: Error) => this.#ended(unavailable(error.message)),
    );
  }

  async apply(line: string | { readonly file: string }): Promise<string> {
    await this.#turn;
    if (typeof line === 'string') return await this.#type(line);
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const path = join(this.#folder, `${++this.#files}`);
    writeFileSync(path, `${line.file}\n`);
    try {
      return await this.#type(`include "${path}"`);
    } finally {
      rmSync(path, { force: true });
    }
  }

  async #type(line: string): Promise<string> {
    const applied = new Promise<string>((resolve, reject) => {
      if (this.ended) return reject(unavailable('nft has ended'));
      const mark = `berth-mark-${++this.#marks}`;
      this.#pending.push({ mark, resolve, reject });
      this.#child.stdin.write(`${line}\n${mark}\n`);
    });
    try {
      return await within(applied, { limitMs: APPLY_LIMIT_MS }, 'nft');
    } catch (error) {
      // Whatever else it was told would wait as long.
      if (isBerthError(error, 'timeout')) this.#child.kill('SIGKILL');
      throw error;
    }
  }

  async finish(): Promise<void> {
    await this.#turn;
    this.#child.stdin.end();
    await this.#end;
  }

  #read(text: string): void {
    this.#text += text;
    if (this.#text.length > MAX_OUTPUT_CHARACTERS) this.#child.kill('SIGKILL');
    for (let first = this.#pending[0]; first !== undefined; first = this.#pending[0]) {
      const complaint = this.#complaint(first.mark);
      if (complaint === undefined) return;
      // Where in a file of ours it was says nothing.
      const output = this.#text
        .slice(0, complaint.start)
        .replace(/^In file included from .*\n/gm, '')
        .replace(/^\S+:\d+:\d+-\d+: (?=Error: )/gm, '');
      this.#text = this.#text.slice(complaint.end);
      this.#pending.shift();
      if (/^Error: /m.test(output))
        first.reject(new BerthError('internal', `nftables refused: ${output.trim().slice(0, 2000)}`));
      else first.resolve(output);
    }
  }

  /** nft prints the error, the line again, and carets below it. */
  #complaint(mark: string): { start: number; end: number } | undefined {
    const echo = this.#text.indexOf(`\n${mark}\n`);
    const end = echo < 0 ? -1 : this.#text.indexOf('\n', echo + mark.length + 2);
    return end < 0 ? undefined : { start: this.#text.lastIndexOf('\n', echo - 1) + 1, end: end + 1 };
  }

  #ended(error: BerthError): void {
    this.ended = true;
    for (const { reject } of this.#pending.splice(0)) reject(error);
  }
}

/** An older nft does not survive the sight of rules that a newer one made, e.g. in a container of the host's network. */
function crash(signal: string): string {
  return `nft was ended by ${signal}: look whether 'nft list ruleset' works; rules of a newer nft may end an older one`;
}

function unavailable(reason: string): BerthError {
  return new BerthError('unavailable', `cannot change the firewall: ${reason}`);
}
