// The daemon's settings: ROOT/config.json has those that the user changed. Read at every use, so that a change is in effect at
// once.

import { join } from 'node:path';
import {
  BerthError,
  type Config,
  DEFAULT_CONFIG,
  errorMessage,
  SETTINGS,
  type SettingName,
  settingName,
} from '../core/index.ts';
import { readIfExists, writeAtomic } from '../host/index.ts';

export class ConfigStore {
  readonly #path: string;
  #changed: Partial<Config>;

  private constructor(path: string, changed: Partial<Config>) {
    this.#path = path;
    this.#changed = changed;
  }

  /** Fails with `invalid-argument`, naming the file, when what is in it cannot be understood. */
  static async open(root: string): Promise<ConfigStore> {
    const path = join(root, 'config.json');
    try {
      return new ConfigStore(path, check(JSON.parse((await readIfExists(path)) ?? '{}')));
    } catch (error) {
      throw new BerthError(
        'invalid-argument',
        `${path} cannot be understood: ${errorMessage(error)}; mend or remove it`,
      );
    }
  }

  get(): Config {
    return { ...DEFAULT_CONFIG, ...this.#changed };
  }

  /** Undefined: the default again. */
  async set(name: SettingName, value: number | undefined): Promise<void> {
    const { [name]: _, ...others } = this.#changed;
    const changed = value === undefined ? others : { ...others, [name]: value };
    await writeAtomic(this.#path, JSON.stringify(changed), { durable: true });
    this.#changed = changed;
  }
}

function check(value: unknown): Partial<Config> {
  if (typeof value !== 'object' || value === null) throw new RangeError('it is no JSON object');
  for (const [name, number] of Object.entries(value))
    if (typeof number !== 'number')
      throw new RangeError(`${settingName(name)} is ${SETTINGS[settingName(name)].kind}`);
  return value as Partial<Config>;
}
