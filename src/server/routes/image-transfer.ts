// Images coming and going: pull, import, load, save, and base images made from the machine itself.

import type { Progress, RegistryAuth } from '../../core/index.ts';
import { FieldError, Fields, given } from '../../wire/index.ts';
import { readJson } from '../http/body.ts';
import type { Call } from '../http/call.ts';
import { HttpError } from '../http/errors.ts';
import { sendMessages, sendStream } from '../http/respond.ts';
import type { Route } from '../http/router.ts';
import { publishImage, type Services } from './services.ts';

const TAR = 'application/x-tar';

export function imageTransferRoutes(services: Services): readonly Route[] {
  return [
    { method: 'POST', path: '/images/create', handle: (call) => create(services, call) },
    { method: 'POST', path: '/images/load', handle: (call) => load(services, call) },
    {
      method: 'GET',
      path: '/images/get',
      handle: (call) =>
        save(
          services,
          call,
          call.query.getAll('names').flatMap((names) => names.split(',')),
        ),
    },
    { method: 'GET', path: '/images/{*}/get', handle: (call) => save(services, call, [call.param()]) },
    { method: 'POST', path: '/berth/v1/images/create', handle: (call) => createBase(services, call) },
  ];
}

async function create(services: Services, call: Call): Promise<void> {
  const source = call.text('fromSrc');
  if (source === undefined) return await pull(services, call);
  if (source !== '-')
    throw new HttpError(501, `import from ${source} is not supported: send the archive itself (fromSrc=-)`);
  return await importImage(services, call);
}

/** Docker's answer begins before the first layer: what can be refused at once is, the rest becomes a message. */
async function pull(services: Services, call: Call): Promise<void> {
  const name = call.required('fromImage');
  const tag = call.text('tag');
  const reference = tag === undefined ? name : tag.includes(':') ? `${name}@${tag}` : `${name}:${tag}`;
  const auth = readAuth(call);
  await sendMessages(call, async (send) => {
    const image = await services.images.pull(reference, {
      ...given('auth', auth),
      ...given('platform', call.text('platform')),
      onProgress: (progress) => send(toProgressJson(progress)),
      signal: call.signal,
    });
    publishImage(services, 'pull', image.id, reference);
  });
}

/** X-Registry-Auth: base64url of JSON. An empty object means anonymous. */
function readAuth(call: Call): RegistryAuth | undefined {
  const header = call.request.headers['x-registry-auth'];
  if (typeof header !== 'string' || header === '') return undefined;
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(header, 'base64url').toString());
  } catch {
    throw new FieldError('X-Registry-Auth', 'not base64 of a JSON object');
  }
  const fields = new Fields(value, 'X-Registry-Auth');
  const text = (key: string) => fields.string(key) || undefined;
  const auth: RegistryAuth = {
    ...given('username', text('username')),
    ...given('password', text('password')),
    ...given('identityToken', text('identitytoken')),
    ...given('registryToken', text('registrytoken')),
  };
  return Object.keys(auth).length === 0 ? undefined : auth;
}

async function importImage(services: Services, call: Call): Promise<void> {
  const repository = call.text('repo');
  const tag = call.text('tag');
  const reference = repository === undefined || tag === undefined ? repository : `${repository}:${tag}`;
  await sendMessages(call, async (send) => {
    const image = await services.images.import(call.request, {
      ...given('reference', reference),
      ...given('message', call.text('message')),
      changes: call.query.getAll('changes'),
      ...given('platform', call.text('platform')),
    });
    publishImage(services, 'import', image.id, image.id);
    if (reference !== undefined) publishImage(services, 'tag', image.id, reference);
    send({ status: image.id });
  });
}

async function load(services: Services, call: Call): Promise<void> {
  const quiet = call.flag('quiet');
  await sendMessages(call, async (send) => {
    const loaded = await services.images.load(call.request, {
      ...(quiet ? {} : { onProgress: (progress: Progress) => send(toProgressJson(progress)) }),
      signal: call.signal,
    });
    for (const line of loaded) {
      const name = line.replace(/^Loaded image(?: ID)?: /, '');
      const id = await services.images.get(name).then((image) => image.id);
      publishImage(services, 'load', id, name);
      const label = name.startsWith('sha256:') ? 'Loaded image ID' : 'Loaded image';
      send({ stream: `${label}: ${name}\n` });
    }
  });
}

async function save(services: Services, call: Call, names: readonly string[]): Promise<void> {
  const references = names.filter((name) => name !== '');
  if (references.length === 0) throw new FieldError('names', 'name the images to save');
  const images = await Promise.all(references.map((name) => services.images.get(name)));
  await sendStream(call, TAR, await services.images.save(references));
  images.forEach((image, index) => {
    publishImage(services, 'save', image.id, references[index] ?? image.id);
  });
}

/** POST /berth/v1/images/create {base, tag?, packages?}. */
async function createBase(services: Services, call: Call): Promise<void> {
  const fields = new Fields(await readJson(call));
  const kind = fields.string('base');
  if (kind !== 'busybox' && kind !== 'debian')
    throw new FieldError('base', `${JSON.stringify(kind ?? '')}; use busybox or debian`);
  const reference = fields.string('tag');
  const packages = fields.strings('packages') ?? [];
  await sendMessages(call, async (send) => {
    const image = await services.images.createBase({
      kind,
      ...given('reference', reference),
      packages,
      onProgress: (progress) => send(toProgressJson(progress)),
      signal: call.signal,
    });
    publishImage(services, 'import', image.id, reference ?? kind);
    send({ aux: { ID: image.id } });
  });
}

function toProgressJson({ status, id, progressDetail }: Progress): object {
  return { status, ...given('progressDetail', progressDetail), ...given('id', id) };
}
