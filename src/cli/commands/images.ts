// `berth images`: list images.

import { splitReference } from '../../sdk/images.ts';
import type { ImageSummary } from '../../sdk/types.ts';
import { defineCommand } from '../command.ts';
import { parseFilters } from '../filters.ts';
import { printList, shortId } from '../format/list.ts';
import { ago, decimalSize } from '../format/units.ts';

const HEADINGS = {
  Repository: 'REPOSITORY',
  Tag: 'TAG',
  Digest: 'DIGEST',
  ID: 'IMAGE ID',
  CreatedSince: 'CREATED',
  CreatedAt: 'CREATED AT',
  Size: 'SIZE',
  Containers: 'CONTAINERS',
} as const;

export const command = defineCommand({
  usage: '[OPTIONS] [REPOSITORY[:TAG]]',
  summary: 'List images',
  flags: {
    all: { kind: 'bool', short: 'a', help: 'Also images without a name that others are made from' },
    digests: { kind: 'bool', help: 'Show digests' },
    filter: { kind: 'list', short: 'f', help: 'Only those that match: dangling=true, label=…, reference=…' },
    format: { kind: 'string', help: "table, json, or a template: '{{.Repository}}:{{.Tag}}'" },
    'no-trunc': { kind: 'bool', help: 'Do not shorten ids' },
    quiet: { kind: 'bool', short: 'q', help: 'Only ids' },
  },
  args: { min: 0, max: 1 },
  examples: [
    ['images', 'all images'],
    ["images --format '{{.Repository}}:{{.Tag}} {{.Size}}'", 'a line of your own'],
  ],
  run: async (context, { flags, args }) => {
    const filters = { ...parseFilters(flags.filter) };
    if (args[0] !== undefined) filters['reference'] = [...(filters['reference'] ?? []), args[0]];
    const { images } = await context.client();
    const list = await images.list({ all: flags.all, digests: flags.digests, filters });
    const rows = list.flatMap((image) => rowsOf(image, flags['no-trunc'], flags.digests));
    if (flags.quiet) {
      for (const id of new Set(rows.map((row) => row.ID))) await context.out.line(id);
      return 0;
    }
    await printList(context, rows, {
      headings: HEADINGS,
      table: flags.digests
        ? ['Repository', 'Tag', 'Digest', 'ID', 'CreatedSince', 'Size']
        : ['Repository', 'Tag', 'ID', 'CreatedSince', 'Size'],
      format: flags.format,
    });
    return 0;
  },
});

function rowsOf(image: ImageSummary, whole: boolean, digests: boolean) {
  const common = {
    ID: shortId(image.Id, whole),
    CreatedSince: image.Created > 0 ? ago(image.Created) : 'N/A',
    CreatedAt: new Date(image.Created * 1000).toISOString().replace('T', ' ').replace(/\..*/, ' +0000 UTC'),
    Size: decimalSize(image.Size),
    Containers: image.Containers < 0 ? 'N/A' : String(image.Containers),
  };
  const named = (repository: string, tag: string, digest: string) => ({
    Repository: repository,
    Tag: tag,
    Digest: digest,
    ...common,
  });
  const digestOf = (name: string) =>
    (image.RepoDigests ?? []).find((digest) => digest.startsWith(`${name}@`))?.split('@')[1] ?? '<none>';
  const tags = (image.RepoTags ?? []).filter((tag) => tag !== '<none>:<none>');
  const rows = tags.map((text) => {
    const { fromImage, tag } = splitReference(text);
    return named(fromImage, tag, digestOf(fromImage));
  });
  if (rows.length > 0) return rows;
  const [digest] = digests ? (image.RepoDigests ?? []) : [];
  const [repository = '<none>', value = '<none>'] = digest?.split('@') ?? [];
  return [named(repository, '<none>', value)];
}
