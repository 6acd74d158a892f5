// Mounts: -v strings, --mount objects, --tmpfs maps and anonymous volumes -> MountSpec, and back for `inspect`.

import { BerthError, type MountSpec, type MountView, type VolumeMount } from '../../core/index.ts';
import { type CreateRequest, given, type MountRequest, parseBytes } from '../../wire/index.ts';

type Mount = MountSpec | VolumeMount;
type Propagation = Extract<MountSpec, { type: 'bind' }>['propagation'];

const PROPAGATIONS: readonly Propagation[] = ['rprivate', 'private', 'rshared', 'shared', 'rslave', 'slave'];
/** Modes that make no difference here: labels for SELinux, and cache hints for Docker Desktop. */
const INERT_MODES = ['z', 'Z', 'consistent', 'cached', 'delegated'];
const VOLUME_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/** Fails with `invalid-argument` or `unsupported` naming the mount. */
export function toMounts(request: CreateRequest): readonly Mount[] {
  const { Binds, Mounts, Tmpfs } = request.HostConfig;
  const explicit = [
    ...Binds.map(parseBind),
    ...Mounts.map(toMount),
    ...Object.entries(Tmpfs).map(([target, options]) => parseTmpfs(target, options)),
  ];
  const targets = new Set(explicit.map(({ target }) => target));
  const anonymous = request.Volumes.filter((target) => !targets.has(target));
  return [
    ...explicit,
    ...anonymous.map((target): Mount => ({ type: 'volume', target, readonly: false, noCopy: false })),
  ];
}

function parseBind(text: string): Mount {
  const [source = '', target = '', modes, ...rest] = text.split(':');
  if (source === '' || target === '' || rest.length > 0 || modes === '')
    throw invalid(`invalid volume specification: '${text}'`);
  const mode = readModes(text, modes);
  const { readonly } = mode;
  if (!source.startsWith('/')) {
    if (!VOLUME_NAME.test(source))
      throw invalid(
        `${JSON.stringify(source)} includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
      );
    return { type: 'volume', name: source, target, readonly, noCopy: mode.noCopy };
  }
  const { propagation } = mode;
  return { type: 'bind', source, target, readonly, propagation, createSource: true };
}

interface Modes {
  readonly: boolean;
  noCopy: boolean;
  propagation: Propagation;
}

function readModes(text: string, modes: string | undefined): Modes {
  const result: Modes = { readonly: false, noCopy: false, propagation: 'rprivate' };
  for (const mode of modes?.split(',') ?? []) {
    const propagation = PROPAGATIONS.find((known) => known === mode);
    if (propagation !== undefined) result.propagation = propagation;
    else if (mode === 'ro') result.readonly = true;
    else if (mode === 'nocopy') result.noCopy = true;
    else if (mode !== 'rw' && !INERT_MODES.includes(mode))
      throw invalid(`invalid mode: ${mode} in '${text}'`);
  }
  return result;
}

function toMount(mount: MountRequest): Mount {
  const { Type, Source: source, Target: target, ReadOnly: readonly } = mount;
  if (Type === 'tmpfs') {
    if (source !== '')
      throw invalid('invalid mount config for type "tmpfs": field Source must not be specified');
    const options = withDefaults(mount.TmpfsOptions);
    return {
      type: 'tmpfs',
      target,
      readonly,
      options,
      ...given('sizeBytes', mount.SizeBytes),
      ...given('mode', mount.Mode),
    };
  }
  if (Type === 'volume') return toVolume(mount);
  if (Type !== 'bind')
    throw unsupported(`mount type ${JSON.stringify(Type)} (for ${target})`, 'bind, volume or tmpfs');
  if (source === '') throw invalid('invalid mount config for type "bind": field Source must not be empty');
  const propagation = PROPAGATIONS.find((known) => known === (mount.Propagation || 'rprivate'));
  if (propagation === undefined) throw invalid(`invalid propagation mode: ${mount.Propagation}`);
  const reach = readOnlyReach(mount, propagation);
  const createSource = mount.CreateMountpoint;
  return { type: 'bind', source, target, readonly, ...given('reach', reach), propagation, createSource };
}

/** The reach of a read-only bind, by Docker's options. */
function readOnlyReach(mount: MountRequest, propagation: Propagation): 'top' | 'all' | undefined {
  const { ReadOnlyNonRecursive: top, ReadOnlyForceRecursive: all } = mount;
  const fail = (why: string) => invalid(`invalid mount config for type "bind": ${why}`);
  if (mount.NonRecursive)
    throw unsupported(
      `NonRecursive of the bind at ${mount.Target}`,
      'a bind with all that is mounted below it',
    );
  if ((top || all) && !mount.ReadOnly)
    throw fail(`mount source must be read-only for ReadOnly${top ? 'Non' : 'Force'}Recursive`);
  if (top && all) throw fail('ReadOnlyForceRecursive and ReadOnlyNonRecursive exclude each other');
  if (all && !propagation.endsWith('private'))
    throw fail('ReadOnlyForceRecursive requires Propagation set to rprivate');
  if (top) return 'top';
  return all ? 'all' : undefined;
}

function toVolume(mount: MountRequest): VolumeMount {
  const { Source: name, Target: target, ReadOnly: readonly, NoCopy: noCopy } = mount;
  if (mount.VolumeDriver !== '' && mount.VolumeDriver !== 'local')
    throw unsupported(`volume driver ${mount.VolumeDriver}`, 'the driver local');
  const plain: VolumeMount = { type: 'volume', target, readonly, noCopy };
  return { ...plain, ...given('name', name || undefined), ...given('subpath', mount.Subpath || undefined) };
}

function parseTmpfs(target: string, text: string): Mount {
  let readonly = false;
  let sizeBytes: number | undefined;
  let mode: number | undefined;
  const options: string[] = [];
  for (const option of text.split(',').filter((part) => part !== '')) {
    const [name = '', value = ''] = option.split('=');
    if (name === 'ro') readonly = true;
    else if (name === 'size') sizeBytes = parseBytes(`tmpfs size of ${target}`, value);
    else if (name === 'mode' && /^[0-7]{1,4}$/.test(value)) mode = Number.parseInt(value, 8);
    else if (name === 'mode') throw invalid(`invalid tmpfs mode of ${target}: ${value}`);
    else if (name !== 'rw') options.push(option);
  }
  const plain: Mount = { type: 'tmpfs', target, readonly, options: withDefaults(options) };
  return { ...plain, ...given('sizeBytes', sizeBytes), ...given('mode', mode) };
}

/** Docker's restrictions, each unless its opposite was asked for. */
function withDefaults(options: readonly string[]): readonly string[] {
  const defaults = ['noexec', 'nosuid', 'nodev'].filter((option) => !options.includes(option.slice(2)));
  return [...new Set([...defaults, ...options])];
}

/** HostConfig.Binds: what -v made, named volumes included. */
export function fromBinds(mounts: readonly Mount[]): readonly string[] | null {
  const binds = mounts.flatMap((mount) => {
    const mode = 'readonly' in mount && mount.readonly ? ':ro' : '';
    if (mount.type === 'bind' && mount.createSource === true)
      return [`${mount.source}:${mount.target}${mode}`];
    if (mount.type === 'volume' && mount.name !== undefined && mount.subpath === undefined)
      return [`${mount.name}:${mount.target}${mode}`];
    return [];
  });
  return binds.length === 0 ? null : binds;
}

/** HostConfig.Mounts: what --mount made of bind mounts, and parts of volumes, which -v cannot say. */
export function fromMountObjects(mounts: readonly Mount[]) {
  const objects = mounts.flatMap((mount): object[] => {
    const { target: Target, readonly: ReadOnly } = mount;
    if (mount.type === 'bind' && mount.createSource !== true)
      return [{ Type: 'bind', Source: mount.source, Target, ReadOnly, ...fromReach(mount.reach) }];
    if (mount.type !== 'volume' || mount.subpath === undefined) return [];
    const VolumeOptions = { Subpath: mount.subpath, ...(mount.noCopy ? { NoCopy: true } : {}) };
    return [{ Type: 'volume', Source: mount.name ?? '', Target, ReadOnly, VolumeOptions }];
  });
  return objects.length === 0 ? undefined : objects;
}

function fromReach(reach: 'top' | 'all' | undefined) {
  if (reach === undefined) return {};
  const option = reach === 'top' ? 'ReadOnlyNonRecursive' : 'ReadOnlyForceRecursive';
  return { BindOptions: { [option]: true } };
}

/** HostConfig.Tmpfs. */
export function fromTmpfs(mounts: readonly Mount[]): Readonly<Record<string, string>> | undefined {
  const entries = mounts.flatMap((mount) => {
    if (mount.type !== 'tmpfs') return [];
    const size = mount.sizeBytes === undefined ? [] : [`size=${mount.sizeBytes}`];
    const mode = mount.mode === undefined ? [] : [`mode=${mount.mode.toString(8)}`];
    return [
      [mount.target, [...(mount.readonly ? ['ro'] : []), ...mount.options, ...size, ...mode].join(',')],
    ];
  });
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

/** The top-level Mounts of `inspect` and `ps`. */
export function fromMountViews(views: readonly MountView[]) {
  return views.map((view) => ({
    Type: view.type,
    ...(view.name === undefined ? {} : { Name: view.name }),
    Source: view.source,
    Destination: view.target,
    ...(view.type === 'volume' ? { Driver: 'local' } : {}),
    Mode: view.type === 'volume' ? 'z' : view.readonly ? 'ro' : '',
    RW: !view.readonly,
    Propagation: view.propagation,
  }));
}

function invalid(message: string): BerthError {
  return new BerthError('invalid-argument', message);
}

function unsupported(what: string, instead: string): BerthError {
  return new BerthError('unsupported', `${what} is not supported: use ${instead}`);
}
