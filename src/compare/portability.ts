// What the image is and what each isolation asks of a host. Looked up, not measured.

import { arch } from 'node:os';
import type { DriverProbe, Image, Isolation } from '../core/index.ts';
import type { Book } from './book.ts';

/** Names of architectures as images use them, by Node's. */
const IMAGE_ARCH: Readonly<Record<string, string>> = {
  x64: 'amd64',
  arm64: 'arm64',
  riscv64: 'riscv64',
  s390x: 's390x',
};

/** This host's architecture in the words of images. */
export function hostArchitecture(): string {
  return IMAGE_ARCH[arch()] ?? arch();
}

function mediaTypes(image: Image): string {
  const short = new Set(
    image.layers.map((layer) =>
      layer.mediaType.replace(/^application\/vnd\./, '').replace(/^oci\.image\.layer\.v1\./, 'OCI '),
    ),
  );
  return [...short].join(', ') || 'no layer';
}

export function recordImage(book: Book, image: Image, isolations: readonly Isolation[]): void {
  const platform = `${image.os}/${image.architecture}${image.variant === undefined ? '' : `/${image.variant}`}`;
  const fits = image.architecture === hostArchitecture() ? 'as the host' : `host is ${hostArchitecture()}`;
  const compressed = image.layers.reduce((sum, layer) => sum + layer.compressedBytes, 0);
  const unpacked = image.layers.reduce((sum, layer) => sum + layer.unpackedBytes, 0);
  const detail = image.layers.map((layer) => `${layer.mediaType} ${layer.digest}`).join('; ');
  for (const isolation of isolations) {
    book.fact('portability.image', isolation, mediaTypes(image), {
      detail: detail || 'the image has no layers',
    });
    book.fact('portability.digest', isolation, image.manifestDigest.slice(0, 19), {
      detail: image.manifestDigest,
    });
    book.fact('portability.platform', isolation, `${platform}, ${fits}`);
    book.sample('size.compressed', isolation, compressed);
    book.sample('size.unpacked', isolation, unpacked);
  }
}

/** What the driver's probes found that it needs, and whether each works here. */
export function recordNeeds(book: Book, isolation: Isolation, probe: DriverProbe): void {
  const ok = probe.probes.filter((item) => item.ok);
  const missing = probe.probes.filter((item) => !item.ok);
  const all = probe.probes.map((item) => `${item.ok ? 'ok' : 'missing'}: ${item.name} (${item.detail})`);
  book.fact(
    'portability.needs',
    isolation,
    `${ok.length} of ${ok.length + missing.length} features work here`,
    {
      detail: all.join('; '),
      value: missing.length,
    },
  );
  const kernel = book.cell('isolation.kernel', isolation, 'count');
  if (kernel?.kind !== 'fact') {
    book.unknown('portability.kernel', isolation, 'its kernel is not known');
    return;
  }
  const own = kernel.value === 1;
  book.fact('portability.kernel', isolation, own ? 'no: brings its own' : 'yes: runs on it', {
    detail: own
      ? 'the workload meets the same kernel on every host of this architecture'
      : 'the workload meets whatever kernel the host has',
    value: own ? 0 : 1,
  });
}
