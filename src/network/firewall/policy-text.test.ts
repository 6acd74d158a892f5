import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isBerthError } from '../../core/index.ts';
import { formatPolicy, parsePolicy } from './policy-text.ts';

const complains = (text: string, pattern: RegExp) =>
  assert.throws(
    () => parsePolicy(text),
    (error) => isBerthError(error, 'invalid-argument') && pattern.test(error.message),
    text,
  );

describe('the policy language', () => {
  test('says in one rule whom, which ports, and whether to log', () => {
    assert.deepEqual(parsePolicy('allow to PyPI.org.:80,8000-8100/TCP log'), [
      {
        verdict: 'allow',
        direction: 'to',
        target: { kind: 'name', name: 'pypi.org' },
        ports: [
          { first: 80, last: 80 },
          { first: 8000, last: 8100 },
        ],
        protocol: 'tcp',
        log: true,
      },
    ]);
  });

  test('is read as it was written', () => {
    const texts = [
      'allow to any',
      'allow to public:443/tcp',
      'deny to private',
      'deny to metadata log',
      'deny to host',
      'allow from network:5432',
      'allow from @web.1',
      'allow to @db:5432/tcp',
      'allow from label:tier=web:80',
      'allow from label:tier',
      'allow to *.npmjs.org:443',
      'allow to 10.0.0.0/8:443',
      'allow to 192.0.2.1/udp',
      'allow to 2001:db8::1',
      'allow to 2001:db8::/32',
      'allow to [2001:db8::1]:53/udp',
      'allow to [2001:db8::/32]:443',
      'allow to ::/0',
    ];
    for (const text of texts) assert.equal(formatPolicy(parsePolicy(text)), text);
    assert.equal(formatPolicy(parsePolicy(texts.join(';'))), texts.join('; '));
  });

  test('takes lines, comments and empty rules', () => {
    const policy = parsePolicy('# only packages\nallow to pypi.org:443 # TLS\n\n ; deny to any;\n');
    assert.equal(formatPolicy(policy), 'allow to pypi.org:443; deny to any');
    assert.deepEqual(parsePolicy(' ;\n'), []);
  });

  test('takes ranges by their network', () => {
    const read = (text: string) => formatPolicy(parsePolicy(`allow to ${text}`)).slice('allow to '.length);
    assert.equal(read('10.1.2.3/8'), '10.0.0.0/8');
    assert.equal(read('[2001:DB8:0:1:2::9]/64:80'), '[2001:db8:0:1::/64]:80');
    assert.equal(read('1:0:0:2:0:0:0:3/128'), '1:0:0:2::3/128');
    assert.equal(read('0.0.0.0/0'), '0.0.0.0/0');
  });

  test('complains about the word that is wrong, with an example', () => {
    complains(
      'permit to any',
      /^policy rule 1, "permit to any", at "permit": a rule begins with allow or deny; for example "allow/,
    );
    complains('allow any', /at "any": allow is followed by to/);
    complains('allow to', /at its end: say to whom/);
    complains('allow to any; deny from', /rule 2, "deny from", at its end: say from whom/);
    complains('allow to web', /at "web": "web" is neither a word .* is the workload @web meant\?/);
    complains('allow to any:0', /"0" is no port/);
    complains('allow to any:70000', /"70000" is no port/);
    complains('allow to any:90-80', /"90-80" is no port/);
    complains('allow to any:', /"" is no port/);
    complains('allow to 10.0.0.0/33', /"10.0.0.0\/33" is no address or range/);
    complains('allow to 10.0.0.256', /"10.0.0.256" is no address/);
    complains('allow to 2001:db8::1:443/32/5', /is no address or range/);
    complains('allow from pypi.org', /after to only/);
    complains('deny to pypi.org', /names can only be allowed/);
    complains('allow to any loud', /at "loud": only log/);
    complains('allow to any log now', /at "now": nothing may follow log/);
    complains('allow to label:', /label: is followed by/);
    complains('allow to @', /"" is no name of a workload/);
    complains('allow to a_b!', /is none of: any/);
    complains(Array(300).fill('allow to any').join(';'), /at most 256 rules, this one 300/);
  });
});
