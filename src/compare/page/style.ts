// The page's style sheet: light and dark, narrow and wide, screen and paper; no font or picture from elsewhere.

export const STYLE = `
:root { color-scheme: light dark; --ink: #16202b; --soft: #5b6875; --line: #dfe4ea; --paper: #ffffff; --tint: #f5f7f9;
  --container: #1f6fd1; --vm: #d9610f; --host: #7b8794; --good: #17803d; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8edf2; --soft: #9aa7b4; --line: #2b3641; --paper: #11181f;
  --tint: #18212a; --container: #5aa2f5; --vm: #f59046; --host: #8894a1; --good: #4cc277; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "Helvetica Neue", "Noto Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 40px 28px 64px; }
.brand { display: flex; align-items: center; gap: 10px; color: var(--soft); font-weight: 600; letter-spacing: .02em; }
.brand svg { width: 26px; height: 26px; }
h1 { font-size: 40px; line-height: 1.15; letter-spacing: -.02em; margin: 18px 0 8px; font-weight: 720; }
h1 code { font-size: .88em; }
h2 { font-size: 25px; letter-spacing: -.01em; margin: 60px 0 4px; }
h3 { font-size: 15px; margin: 30px 0 6px; color: var(--soft); font-weight: 600; }
.about { color: var(--soft); margin: 0 0 14px; max-width: 72ch; }
.lede { font-size: 18px; color: var(--soft); margin: 0 0 20px; }
code { font-family: ui-monospace, "SF Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: .92em; }
.c { color: var(--container); } .v { color: var(--vm); }
.host { display: flex; flex-wrap: wrap; gap: 8px; padding: 0; margin: 0 0 30px; list-style: none; font-size: 14px; }
.host li { background: var(--tint); border: 1px solid var(--line); border-radius: 8px; padding: 4px 11px; }
.host b { color: var(--soft); font-weight: 500; margin-right: 5px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(290px, 1fr)); gap: 14px; margin: 0 0 10px; }
.tile { border: 1px solid var(--line); border-radius: 12px; padding: 16px 18px 14px; background: var(--tint);
  color: inherit; text-decoration: none; display: block; }
.tile h3 { margin: 0 0 10px; font-size: 14px; }
.tile dl { display: grid; grid-template-columns: auto 1fr; gap: 3px 14px; margin: 0; align-items: baseline; }
.tile dt { font-size: 14px; color: var(--soft); } .tile dt::before { content: ""; display: inline-block; width: 9px;
  height: 9px; border-radius: 3px; margin-right: 8px; background: var(--host); }
.tile dt.container::before { background: var(--container); } .tile dt.vm::before { background: var(--vm); }
.tile dd { margin: 0; font-size: 21px; font-weight: 660; text-align: right; font-variant-numeric: tabular-nums; line-height: 1.3; }
.tile dd.long { font-size: 16px; } .tile p { margin: 9px 0 0; font-size: 14px; color: var(--soft); }
.conclusion { margin: 0; padding: 0; list-style: none; counter-reset: item; max-width: 84ch; }
.conclusion li { padding: 12px 0 12px 40px; border-top: 1px solid var(--line); position: relative; counter-increment: item; }
.conclusion li:first-child { border-top: 0; font-size: 18.5px; font-weight: 560; }
.conclusion li::before { content: counter(item); position: absolute; left: 0; top: 13px; width: 25px; height: 25px;
  border-radius: 50%; background: var(--tint); border: 1px solid var(--line); font-size: 13px; line-height: 23px;
  text-align: center; color: var(--soft); }
.cites { white-space: normal; } .cites a { font-size: 12.5px; color: var(--soft); text-decoration: none;
  border-bottom: 1px dotted var(--soft); margin-left: 6px; white-space: nowrap; }
svg { display: block; width: 100%; height: auto; margin: 6px 0; overflow: visible; }
svg text { fill: var(--ink); font-size: 14px; font-family: inherit; } svg .tick { fill: var(--soft); font-size: 12.5px; }
svg .value { font-weight: 660; font-size: 15px; } svg .value.small { font-size: 13px; }
svg .grid { stroke: var(--line); } svg .base { stroke: var(--ink); stroke-width: 1.5; }
svg .container { fill: var(--container); } svg .vm { fill: var(--vm); } svg .legend { fill: var(--soft); }
svg .phase-create { opacity: .45; } svg .phase-output { opacity: 1; } svg .phase-exit { opacity: .7; } svg .phase-remove { opacity: .28; }
svg .dot { opacity: .42; } svg .median.container { stroke: var(--container); } svg .median.vm { stroke: var(--vm); }
svg .median { stroke-width: 3; stroke-linecap: round; }
.keys { display: flex; gap: 20px; font-size: 14px; color: var(--soft); margin: 4px 0 0; }
.keys span::before { content: ""; display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 7px;
  background: var(--container); } .keys .v::before { background: var(--vm); } .keys span { color: var(--soft); }
table { width: 100%; border-collapse: collapse; margin: 18px 0 0; font-size: 15px; table-layout: fixed; }
th { text-align: left; font-weight: 600; font-size: 13px; color: var(--soft); padding: 6px 12px 6px 0; border-bottom: 2px solid var(--line); }
td { padding: 10px 14px 10px 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
td b { font-weight: 640; font-variant-numeric: tabular-nums; }
th:first-child { width: 27%; } td small, td details { display: block; color: var(--soft); font-size: 12.5px; line-height: 1.4; margin-top: 2px; }
td.unknown b { color: var(--soft); font-style: italic; font-weight: 500; } td.ratio { font-variant-numeric: tabular-nums; }
th.narrow, td.ratio { width: 15%; } summary { cursor: pointer; } tr:target td { background: var(--tint); }
.notes { color: var(--soft); font-size: 14.5px; max-width: 84ch; padding-left: 20px; }
footer { margin-top: 54px; padding-top: 16px; border-top: 1px solid var(--line); color: var(--soft); font-size: 13.5px; }
@media (max-width: 700px) { main { padding: 24px 16px 40px; } h1 { font-size: 29px; } .chart { overflow-x: auto; }
  .chart svg { min-width: 640px; } thead { display: none; } tr { display: block; padding: 10px 0; border-bottom: 1px solid var(--line); }
  td, td:first-child, td.ratio { display: block; width: auto; border: 0; padding: 3px 0; }
  td[data-label]::before { content: attr(data-label); display: inline-block; min-width: 130px; color: var(--soft); font-size: 12.5px; } }
@media print { :root { --ink: #000; --paper: #fff; --tint: #fff; --soft: #444; --line: #bbb; } body { font-size: 11pt; }
  main { max-width: none; padding: 0; } h2 { break-after: avoid; margin-top: 26pt; } tr, .tile, svg, .conclusion li { break-inside: avoid; }
  details > small { display: block; } summary { display: none; } * { -webkit-print-color-adjust: exact; print-color-adjust: exact; } }
`;
