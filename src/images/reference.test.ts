import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  familiarName,
  formatCanonical,
  formatFamiliar,
  parseReference,
  withDefaultTag,
} from './reference.ts';

const digest = `sha256:${'ab'.repeat(32)}`;

test('short names are completed and shown as Docker does', () => {
  const table: Readonly<Record<string, readonly [string, string]>> = {
    nginx: ['docker.io/library/nginx:latest', 'nginx:latest'],
    'nginx:1.2': ['docker.io/library/nginx:1.2', 'nginx:1.2'],
    'user/app': ['docker.io/user/app:latest', 'user/app:latest'],
    'docker.io/nginx': ['docker.io/library/nginx:latest', 'nginx:latest'],
    'index.docker.io/library/nginx': ['docker.io/library/nginx:latest', 'nginx:latest'],
    'localhost/app': ['localhost/app:latest', 'localhost/app:latest'],
    'localhost:5000/app:v1': ['localhost:5000/app:v1', 'localhost:5000/app:v1'],
    '127.0.0.1:5000/a/b/c': ['127.0.0.1:5000/a/b/c:latest', '127.0.0.1:5000/a/b/c:latest'],
    '[::1]:5000/a': ['[::1]:5000/a:latest', '[::1]:5000/a:latest'],
    'ghcr.io/o/a_b__c-d.e:T.a-g_1': ['ghcr.io/o/a_b__c-d.e:T.a-g_1', 'ghcr.io/o/a_b__c-d.e:T.a-g_1'],
    [`nginx@${digest}`]: [`docker.io/library/nginx@${digest}`, `nginx@${digest}`],
    [`nginx:1@${digest}`]: [`docker.io/library/nginx:1@${digest}`, `nginx:1@${digest}`],
  };
  for (const [text, [canonical, familiar]] of Object.entries(table)) {
    const reference = withDefaultTag(parseReference(text));
    assert.equal(formatCanonical(reference), canonical);
    assert.equal(formatFamiliar(reference), familiar);
    assert.deepEqual(withDefaultTag(parseReference(familiar)), reference);
  }
  assert.equal(familiarName(parseReference('nginx:1')), 'nginx');
});

test('what is no reference is refused with the part that is wrong', () => {
  const table: Readonly<Record<string, RegExp>> = {
    '': /empty/,
    Nginx: /must be lowercase/,
    'a//b': /not a repository/,
    'a/': /not a repository/,
    ':tag': /not a repository/,
    'nginx:': /"" is not a tag/,
    'nginx:-x': /not a tag/,
    [`nginx:${'x'.repeat(129)}`]: /not a tag/,
    'nginx@sha256:12': /not a sha256 digest/,
    'a-.b/c': /not a registry/,
    '../etc': /not a re/,
    'a b': /not a repository/,
    [`${'x'.repeat(300)}`]: /more than 255/,
    ['ab'.repeat(32)]: /image id/,
  };
  for (const [text, expected] of Object.entries(table))
    assert.throws(() => parseReference(text), expected, text);
});
