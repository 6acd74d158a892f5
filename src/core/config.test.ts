import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DEFAULT_CONFIG,
  formatSetting,
  parseSetting,
  SETTINGS,
  type SettingName,
  settingName,
} from './config.ts';

test('sizes are written with units, counts without', () => {
  assert.equal(parseSetting('vm.pool.memory', '512m'), 512 * 2 ** 20);
  assert.equal(parseSetting('vm.pool.memory', '1.5 GiB'), 1.5 * 2 ** 30);
  assert.equal(parseSetting('vm.pool.memory', '0'), 0);
  assert.equal(parseSetting('vm.pool.machines', '12'), 12);
  assert.equal(parseSetting('network.publish-everywhere', 'On'), 1);
});

test('what is written can be read again', () => {
  for (const name of Object.keys(SETTINGS) as SettingName[])
    for (const value of [0, 1, DEFAULT_CONFIG[name]])
      assert.equal(parseSetting(name, formatSetting(name, value)), value);
});

test('nonsense is refused with what is wanted', () => {
  assert.throws(
    () => parseSetting('vm.pool.machines', '5m'),
    /"5m" for vm.pool.machines: it is a whole number/,
  );
  assert.throws(() => parseSetting('vm.pool.memory', 'lots'), /a size such as 512m/);
  assert.throws(() => parseSetting('vm.pool.memory', '-1'), /a size/);
  assert.throws(() => parseSetting('network.publish-everywhere', 'yes'), /it is on or off/);
  assert.throws(() => settingName('vm.pool'), /no setting vm.pool; there are vm.pool.machines/);
});
