// The daemon's settings: GET shows all, PUT sets one, DELETE gives it its default again.

import { formatSetting, parseSetting, SETTINGS, type SettingName, settingName } from '../../core/index.ts';
import { FieldError, Fields } from '../../wire/index.ts';
import { readJson } from '../http/body.ts';
import { sendEmpty, sendJson } from '../http/respond.ts';
import type { Route } from '../http/router.ts';
import type { Services } from './services.ts';

export function configRoutes({ config }: Services): readonly Route[] {
  const one = '/berth/v1/config/{}';
  return [
    {
      method: 'GET',
      path: '/berth/v1/config',
      handle: (call) => {
        const values = config.get();
        const names = Object.keys(SETTINGS) as SettingName[];
        sendJson(
          call,
          names.map((name) => ({
            name,
            value: formatSetting(name, values[name]),
            default: formatSetting(name, SETTINGS[name].default),
            help: SETTINGS[name].help,
          })),
        );
      },
    },
    {
      method: 'PUT',
      path: one,
      handle: async (call) => {
        const name = settingName(call.param());
        const value = new Fields(await readJson(call)).string('value');
        if (value === undefined) throw new FieldError('value', 'it is missing');
        await config.set(name, parseSetting(name, value));
        sendEmpty(call);
      },
    },
    {
      method: 'DELETE',
      path: one,
      handle: async (call) => {
        await config.set(settingName(call.param()), undefined);
        sendEmpty(call);
      },
    },
  ];
}
