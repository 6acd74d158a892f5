import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileTemplate } from './index.ts';

const data = {
  Name: '/web',
  State: { Running: true, ExitCode: 0 },
  Mounts: [
    { Source: '/a', Destination: '/b' },
    { Source: '/c', Destination: '/d' },
  ],
  Labels: { b: '2', a: '1' },
  Args: ['x', 'y'],
  Empty: [],
  Nothing: null,
  Label: (key: string) => ({ a: '1' })[key] ?? '',
};

const cases: readonly (readonly [string, string])[] = [
  ['{{.Name}}', '/web'],
  ['{{ .State.Running }} {{.State.ExitCode}}', 'true 0'],
  ['{{json .State}}', '{"Running":true,"ExitCode":0}'],
  ['{{.Labels}}{{.Args}}{{.Nothing}}', 'map[a:1 b:2][x y]<nil>'],
  ['{{range .Mounts}}{{.Source}}:{{.Destination}} {{end}}', '/a:/b /c:/d '],
  ['{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}', 'a=1;b=2;'],
  ['{{range $i, $m := .Mounts}}{{if $i}},{{end}}{{$m.Source}}{{end}}', '/a,/c'],
  ['{{range .Empty}}x{{else}}none{{end}}', 'none'],
  ['{{if .State.Health}}h{{else if eq .Name "/web"}}w{{else}}n{{end}}', 'w'],
  ['{{with .State}}{{.ExitCode}}{{end}}', '0'],
  ['{{index .Args 1}} {{index .Labels "b"}} {{(index .Mounts 0).Source}}', 'y 2 /a'],
  ['{{index .Labels "none"}}', '<no value>'],
  ['{{join .Args ", "}} {{upper "a"}} {{lower "B"}} {{len .Args}}', 'x, y A b 2'],
  ['{{.Name | upper | printf "%s-%d" "n"}}', 'n-%!d(string=/WEB)'],
  ['{{printf "%-5s|%05d|%.2f|%q|%%" "a" 42 1.5 "q"}}', 'a    |00042|1.50|"q"|%'],
  ['{{println .Name}}', '/web\n'],
  ['{{and .State.Running "yes"}} {{or "" "b"}} {{not true}} {{ne 1 2}}', 'yes b false true'],
  ['a {{- " b" -}} c{{/* gone */}}', 'a bc'],
  ['{{$x := .Name}}{{$x}} {{$.State.ExitCode}}', '/web 0'],
  ['{{.Label "a"}}', '1'],
  ['{{range .Args}}{{if eq . "y"}}{{break}}{{end}}{{.}}{{end}}', 'x'],
  ['{{`raw\\n`}}{{"tab\\t"}}', 'raw\\ntab\t'],
];

for (const [source, expected] of cases) {
  test(`the template ${source} prints ${JSON.stringify(expected)}`, () => {
    assert.equal(compileTemplate(source).execute(data), expected);
  });
}

const faults: readonly (readonly [string, RegExp])[] = [
  ['ab {{.Nope}}', /line 1, column 6: there is no field \.Nope; there are Name, State/],
  ['{{.State.Health.Status}}', /no field \.Health/],
  ['{{.Name', /column 1: this action is not closed/],
  ['{{if .Name}}x', /\{\{if\}\} has no \{\{end\}\}/],
  ['\n{{end}}', /line 2, column 3: unexpected \{\{end\}\}/],
  ['{{frob .Name}}', /unknown function frob; known are and/],
  ['{{constructor}}', /unknown function constructor/],
  ['{{.Name "a"}}', /not a function/],
  ['{{index .Args 9}}', /index 9 out of range of 2 items/],
  ['{{}}', /a value or a function is missing/],
  ['{{$y}}', /variable \$y is not declared/],
  ['{{"abc}}', /this string is not closed/],
];

for (const [source, expected] of faults) {
  test(`the faulty template ${JSON.stringify(source)} is refused with its place`, () => {
    assert.throws(() => compileTemplate(source).execute(data), { name: 'TemplateError', message: expected });
  });
}
