// Whom to trust: the system's certificate authorities and, per registry, a folder as Docker has it
// (<folder>/<host:port>/*.crt, and a client's own NAME.cert with NAME.key).

import { X509Certificate } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { BerthError, errorMessage } from '../../core/index.ts';

interface OwnFiles {
  readonly authorities: string[];
  readonly certificates: string[];
  readonly keys: string[];
}

/** The TLS context for a registry. Fails with `invalid-argument` naming a file that is no certificate. */
export async function openSecureContext(host: string, folders: readonly string[]): Promise<SecureContext> {
  const own: OwnFiles = { authorities: [], certificates: [], keys: [] };
  const used: string[] = [];
  for (const folder of folders) {
    const path = join(folder, host);
    for (const name of (await readdir(path).catch(() => [])).sort()) {
      const list = listFor(own, name);
      if (list === undefined) continue;
      used.push(join(path, name));
      list.push(await readFile(join(path, name), 'utf8'));
    }
  }
  try {
    // A text without a certificate in it would be passed over in silence.
    for (const authority of own.authorities) new X509Certificate(authority);
    return createSecureContext({
      ca: [...getCACertificates('bundled'), ...getCACertificates('system'), ...own.authorities],
      ...(own.certificates.length === 0 ? {} : { cert: own.certificates, key: own.keys }),
    });
  } catch (error) {
    throw new BerthError(
      'invalid-argument',
      `certificates of ${host} cannot be used (${used.join(', ')}): ${errorMessage(error)}`,
      { cause: error },
    );
  }
}

function listFor(own: OwnFiles, name: string): string[] | undefined {
  if (name.endsWith('.crt')) return own.authorities;
  if (name.endsWith('.cert')) return own.certificates;
  return name.endsWith('.key') ? own.keys : undefined;
}
