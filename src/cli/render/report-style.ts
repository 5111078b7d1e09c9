/** The style sheet of the report, for phones and screens, light and dark. `test/integration/report-page.test.ts` computes contrasts, and looks for a sideways scroll. */
export const STYLE = `
:root { color-scheme: light dark; --ink: #1b2130; --soft: #5d6678; --failure: #b3261e; --focus: #1a5fb4; --line: #dfe3ea; --page: #f6f7f9;
  --card: #fff; --grid: #f1f3f7; --resolve: #6f7a92; --fetch: #2f7fd1; --wait: #848d9d; --verify: #0f857c; --extract: #a8750f;
  --inflate: #d05a1c; --apply: #8e5bd0; --rebase: #d03a74; --commit: #59657a; --sync: #b3261e; --record: #2f7d33; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7eaf0; --soft: #9aa4b6; --failure: #ff8f85; --focus: #8ab8ff; --line: #2f3644;
  --page: #14171e; --card: #1c212b; --grid: #262c38; --resolve: #a3adc2; --fetch: #4f9bea; --wait: #6f7a8f; --verify: #25b5a9;
  --extract: #e0a52b; --inflate: #e8743b; --apply: #a67ae0; --rebase: #e2608f; --commit: #8b97ad; --sync: #ef6a5f; --record: #58ad5c; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 32px 24px 48px; max-width: 1120px; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; font-variant-numeric: tabular-nums; }
h1 { margin: 0; font-size: 24px; overflow-wrap: anywhere; }
h2 { margin: 0 0 12px; font-size: 13px; font-weight: 600; letter-spacing: .06em; text-transform: uppercase; color: var(--soft); }
h3 { margin: 18px 0 4px; font-size: 13px; overflow-wrap: anywhere; }
header p { margin: 4px 0 0; color: var(--soft); overflow-wrap: anywhere; }
.failure, header .failure { color: var(--failure); font-weight: 600; }
.mono { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 12px; overflow-wrap: anywhere; }
section { margin-top: 20px; padding: 18px 20px; background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.bottleneck { border-left: 5px solid var(--inflate); }
.bottleneck h2 { margin-bottom: 4px; }
.bottleneck p { margin: 0; font-size: 18px; overflow-wrap: anywhere; }
.tiles { display: flex; flex-wrap: wrap; gap: 12px 40px; }
.tiles b { display: block; font-size: 22px; line-height: 1.2; }
.tiles span { color: var(--soft); font-size: 13px; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 0 0 14px; padding: 0; list-style: none; font-size: 13px; }
.legend small { margin-left: 6px; color: var(--soft); font-size: 12px; }
.legend i, th i { display: inline-block; width: 11px; height: 11px; margin-right: 7px; border-radius: 3px; vertical-align: -1px; }
.axis, .lane summary { display: grid; grid-template-columns: 230px 1fr; }
.axis > div { position: relative; height: 20px; overflow: hidden; border-bottom: 1px solid var(--line); }
.axis div span { position: absolute; padding-left: 4px; border-left: 1px solid var(--line); color: var(--soft); font-size: 12px; white-space: nowrap; }
.lane { border-bottom: 1px solid var(--line); }
.lane summary { padding: 3px 0; border-radius: 3px; cursor: pointer; list-style: none; }
.lane summary::-webkit-details-marker { display: none; }
.lane summary:hover { background: var(--grid); }
.lane summary:focus-visible { outline: 2px solid var(--focus); outline-offset: 1px; }
.lane summary > span:first-child { padding-right: 12px; overflow: hidden; color: var(--soft); font-size: 12px; text-overflow: ellipsis; white-space: nowrap; }
.lane summary > span:first-child::before { content: "\\25b8"; display: inline-block; width: 14px; }
.lane[open] summary > span:first-child::before { content: "\\25be"; }
.lane b { color: var(--ink); font-weight: 500; }
.lane em { padding-left: 4px; color: var(--soft); font-size: 12px; }
.facts { padding: 0 0 10px 14px; font-size: 13px; }
.facts p { margin: 2px 0 4px; color: var(--soft); }
.facts ul { margin: 0; padding-left: 18px; overflow-wrap: anywhere; }
.track { display: block; position: relative; height: 10px; margin: 2px 0; border-radius: 3px; background: var(--grid); }
.bar { display: flex; position: absolute; top: 0; bottom: 0; min-width: 2px; max-width: 100%; overflow: hidden; border-radius: 3px; }
.bar i { display: block; height: 100%; }
.bar.cut { border-right: 3px solid var(--failure); }
.bar, .bar i, .legend i, th i { forced-color-adjust: none; print-color-adjust: exact; }
.resolve { background: var(--resolve); } .fetch { background: var(--fetch); } .verify { background: var(--verify); }
.wait { background: repeating-linear-gradient(135deg, var(--wait) 0 3px, var(--grid) 3px 5px); }
.extract { background: var(--extract); } .inflate { background: var(--inflate); } .apply { background: var(--apply); }
.rebase { background: var(--rebase); } .commit { background: var(--commit); } .sync { background: var(--sync); } .record { background: var(--record); }
table { width: 100%; border-collapse: collapse; font-size: 13px; }
th { font-weight: 400; text-align: left; }
thead th { color: var(--soft); }
th[scope="rowgroup"] { padding-top: 14px; font-weight: 600; }
th, td { padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
td, thead th + th { text-align: right; }
td.words, thead th.words { padding-left: 14px; text-align: left; }
footer { margin-top: 20px; color: var(--soft); font-size: 12px; }
@media (max-width: 720px) {
  body { padding: 18px 12px 32px; }
  section { margin-top: 12px; padding: 14px 12px; }
  .tiles { gap: 10px 28px; }
  .axis, .lane summary { grid-template-columns: 1fr; }
  .axis > span, .axis div span:nth-child(even), td.wide, thead th.wide { display: none; }
  .lane summary { padding: 6px 0; }
  .track { height: 14px; }
  table { font-size: 12px; }
  th, td { padding-right: 6px; }
  tr > :last-child, td:nth-last-child(2):has(+ .wide) { padding-right: 0; }
}
`;
