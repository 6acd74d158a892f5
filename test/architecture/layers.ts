// Which room of src/ may import which, as data (docs/architecture.md draws it). A room may always import itself;
// a room that stands nowhere here fails the test.

const GROUND = ['core', 'formats', 'host'] as const;
const PARTS = ['images', 'volumes', 'network', 'qemu', 'guest'] as const;

export const layers: Readonly<Record<string, readonly string[]>> = {
  core: [],
  wire: [],
  formats: ['core', 'wire'],
  host: ['core', 'formats'],
  images: GROUND,
  volumes: GROUND,
  network: GROUND,
  qemu: GROUND,
  guest: GROUND,
  build: [...GROUND, ...PARTS],
  drivers: [...GROUND, ...PARTS],
  // Sees only the Driver interface of core: drivers are injected.
  engine: [...GROUND, 'images', 'volumes', 'network'],
  // Its report is part of the public contract.
  compare: ['wire', ...GROUND, ...PARTS, 'engine'],
  server: ['wire', ...GROUND, ...PARTS, 'engine', 'compare'],
  // The public client and the CLI speak the daemon's API and know nothing of its inside.
  sdk: ['wire', 'formats'],
  cli: ['sdk', 'wire', 'formats'],
};

/** Wires everything; nothing imports it. */
export const WIRING = 'bin';

/** Rooms made of siblings that never import each other. */
export const SIBLINGS: readonly string[] = ['drivers'];

/** Modules that only one room may import. */
export const DOORS: Readonly<Record<string, readonly string[]>> = {
  'node:child_process': ['host'],
  'node:worker_threads': ['host'],
};

/** Rooms that may read the environment and the arguments of the process. */
export const READS_PROCESS: readonly string[] = ['bin', 'cli'];

/** Packages that src/ may import beside Node's own modules. */
export const PACKAGES: readonly string[] = [];
