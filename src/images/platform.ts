// Platforms of images, and which one suits.

import { arch } from 'node:os';
import { BerthError } from '../core/index.ts';

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

const NODE_TO_OCI: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', arm: 'arm' };
const ALIASES: Readonly<Record<string, string>> = { x86_64: 'amd64', 'x86-64': 'amd64', aarch64: 'arm64' };

export function hostPlatform(): Platform {
  const name = arch();
  return { os: 'linux', architecture: NODE_TO_OCI[name] ?? name };
}

/** Reads os/arch[/variant], or arch alone. */
export function parsePlatform(text: string | undefined): Platform {
  if (text === undefined || text === '') return hostPlatform();
  const parts = text.toLowerCase().split('/');
  const [os, architecture, variant] = parts.length === 1 ? ['linux', ...parts] : parts;
  if (!os || !architecture || parts.length > 3 || parts.includes(''))
    throw new BerthError(
      'invalid-argument',
      `${JSON.stringify(text)} is not a platform: write os/arch[/variant]`,
    );
  const known = ALIASES[architecture] ?? architecture;
  return { os, architecture: known, ...(variant === undefined ? {} : { variant }) };
}

export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant === undefined ? [] : [variant])].join('/');
}

/** arm64 without a variant is v8; arm without one is v7. */
function variantOf({ architecture, variant }: Platform): string {
  if (variant !== undefined && variant !== '') return variant;
  if (architecture === 'arm64') return 'v8';
  return architecture === 'arm' ? 'v7' : '';
}

/** Whether an image for `offered` runs where `wanted` is asked for. */
export function suits(offered: Platform, wanted: Platform): boolean {
  return (
    offered.os === wanted.os &&
    (ALIASES[offered.architecture] ?? offered.architecture) === wanted.architecture &&
    variantOf(offered) === variantOf(wanted)
  );
}
