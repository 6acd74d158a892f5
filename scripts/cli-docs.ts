// Writes docs/cli.md from the help texts of the commands: node scripts/cli-docs.ts

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { commandReference } from '../src/cli/reference.ts';

await writeFile(join(import.meta.dirname, '../docs/cli.md'), await commandReference());
