// Names that people can remember and type: a mood and a thing of the sea.

import { randomInt } from 'node:crypto';
import { BerthError } from '../../core/index.ts';

const MOODS =
  `amber bold brave breezy bright brisk calm candid cheerful clear clever cosy crisp daring deep eager
early fair fearless fleet fond free fresh gentle glad golden grand happy hardy hazy honest jolly keen kind lively loyal
lucky mellow merry mighty misty nimble noble patient peaceful placid polite proud quick quiet radiant ready rosy salty
serene silver snug solid spry steady stout sunny swift tidy tranquil trusty vivid warm wise witty zesty`.split(
    /\s+/,
  );

const THINGS =
  `albatross anchor atoll ballast bay beacon bollard bosun bowline breeze brig buoy cape capstan caravel
catamaran clipper cockle compass coral cove crab current cutter deck delta dinghy dolphin dory ferry fjord flotilla
foghorn frigate galley gull harbour haven heron horizon hull isle jetty kayak keel ketch lagoon lantern lighthouse
limpet lobster lugger marina mariner marlin mast mooring narwhal oar ocean orca otter oyster pelican penguin pier pilot
plaice porpoise quay raft reef regatta rigging rudder sail sailor schooner seal sextant shoal skiff sloop spar starfish
surf tern tide tiller trawler tug turtle voyage walrus wave whale wharf winch yacht yawl`.split(/\s+/);

/** A random name that `taken` does not hold: mood_thing, with a number behind it once those get scarce. */
export function randomName(taken: (name: string) => boolean): string {
  for (let attempt = 0; ; attempt++) {
    const pick = (words: readonly string[]) => words[randomInt(words.length)] ?? '';
    const name = `${pick(MOODS)}_${pick(THINGS)}${attempt < 5 ? '' : randomInt(10 ** Math.min(attempt - 4, 9))}`;
    if (!taken(name)) return name;
  }
}

/** The name without its leading slash; fails with `invalid-argument` when it is not one that Docker allows. */
export function parseName(text: string): string {
  const name = text.startsWith('/') ? text.slice(1) : text;
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) return name;
  throw new BerthError(
    'invalid-argument',
    `Invalid container name (${text}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
  );
}
