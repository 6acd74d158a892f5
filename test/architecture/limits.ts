// The sizes that keep Berth readable, and what may exceed one, each with its reason.

export const FILE_LINES = 400;
export const FUNCTION_LINES = 50;
export const INTERFACE_METHODS = 7;
export const ROOM_FILES = 25;
export const README_LINES = 200;
export const ADR_LINES = 60;
export const WIRING_LINES = 40;

/** Interfaces that may have more methods. */
export const WIDE_INTERFACES: Readonly<Record<string, string>> = {
  ImageStore: 'mirrors the image endpoints of the Docker Engine API one to one, and has one implementation',
  Workloads:
    'mirrors the container endpoints of the Docker Engine API one to one, and has one implementation',
  Instance: 'the life of one incarnation; all that not every isolation can do is an optional member already',
};

/** Folders that may hold more files. */
export const LARGE_ROOMS: Readonly<Record<string, string>> = {
  'src/cli/commands': 'one file per command',
  shim: 'one static program with two back-ends; its files are parted by their prefixes',
};
