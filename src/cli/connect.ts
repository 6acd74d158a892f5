// The way to the daemon: the connection first, the daemon's start only when nobody listens.

import { DEFAULT_HOST, parseAddress } from '../sdk/address.ts';
import { BerthClient } from '../sdk/client.ts';
import { dialFast } from '../sdk/dial.ts';
import { Transport } from '../sdk/transport.ts';
import { CliError } from './errors.ts';
import { type ConnectConfig, systemCode } from './platform.ts';

/** A client with a connection already open, which the first request will use. */
export async function connectToDaemon(config: ConnectConfig): Promise<BerthClient> {
  const { platform } = config;
  const address = parseAddress(config.host ?? DEFAULT_HOST);
  const client = new BerthClient(new Transport(address, dialFast));
  try {
    await client.http.prepare();
    return client;
  } catch (error) {
    const code = systemCode(error);
    if (code === 'EACCES' || code === 'EPERM') throw noPermission(error);
    const nobodyListens = code === 'ENOENT' || code === 'ECONNREFUSED';
    if (!nobodyListens || address.kind !== 'unix') throw error;
    if (platform.env['BERTH_AUTOSTART'] === '0') throw notRunning(error);
    const { startDaemon } = await import('./daemon.ts');
    await startDaemon(config, address.path, () => client.http.prepare());
    return client;
  }
}

function noPermission(error: unknown): CliError {
  const message = (error as Error).message;
  return new CliError(
    `berth: ${message}\nRun it as root, or join the group "berth" (usermod -aG berth USER).`,
  );
}

function notRunning(error: unknown): CliError {
  const message = (error as Error).message;
  return new CliError(
    `berth: ${message}\nThe daemon does not run and BERTH_AUTOSTART=0 forbids to start it: run 'berth serve'.`,
  );
}
