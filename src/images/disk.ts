// Troubles of the disk in the words of users.

import { BerthError, errorMessage } from '../core/index.ts';

/** Turns an error of the file system into a BerthError that says what was being done; others pass unchanged. */
export function diskError(error: unknown, doing: string): unknown {
  if (!(error instanceof Error) || error instanceof BerthError || !('code' in error)) return error;
  const code = String(error.code);
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new BerthError(
      'exhausted',
      `${doing}: no space left on device; free some (berth system prune) and try again`,
      { cause: error },
    );
  if (code === 'EIO' || code === 'EROFS' || code === 'EACCES')
    return new BerthError('internal', `${doing}: ${errorMessage(error)}`, { cause: error });
  return error;
}
