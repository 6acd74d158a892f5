// Versions of the Docker Engine API, and how a client and a daemon agree on one.

export const API_VERSION = '1.50';
export const MIN_API_VERSION = '1.24';

/** Negative, zero or positive as `a` is older than, equal to or newer than `b`. */
export function compareVersions(a: string, b: string): number {
  const [majorA = 0, minorA = 0] = a.split('.').map(Number);
  const [majorB = 0, minorB = 0] = b.split('.').map(Number);
  return majorA - majorB || minorA - minorB;
}

/** Why a client's version cannot be served, in Docker's words; undefined when it can. */
export function refuseVersion(version: string): string | undefined {
  if (compareVersions(version, API_VERSION) > 0)
    return `client version ${version} is too new. Maximum supported API version is ${API_VERSION}`;
  if (compareVersions(version, MIN_API_VERSION) < 0)
    return `client version ${version} is too old. Minimum supported API version is ${MIN_API_VERSION}, please upgrade your client to a newer version`;
  return undefined;
}
