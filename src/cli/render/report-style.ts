/** The style sheet of the report, for light and dark screens. */
export const STYLE = `
:root { color-scheme: light dark; --ink: #1b2130; --soft: #5d6678; --line: #dfe3ea; --page: #f6f7f9; --card: #fff; --grid: #eceff4;
  --resolve: #8a93a6; --fetch: #2f7fd1; --wait: #c9cfda; --verify: #17a398; --extract: #e0a52b; --inflate: #e8743b; --apply: #8e5bd0;
  --rebase: #d6487e; --commit: #59657a; --sync: #b3261e; --record: #3d8b40; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7eaf0; --soft: #9aa4b6; --line: #2f3644; --page: #14171e; --card: #1c212b;
  --grid: #262c38; --wait: #4a5364; --commit: #8b97ad; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 32px 24px 48px; max-width: 1120px; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; font-variant-numeric: tabular-nums; }
h1 { margin: 0; font-size: 24px; overflow-wrap: anywhere; }
h2 { margin: 0 0 12px; font-size: 13px; font-weight: 600; letter-spacing: .06em; text-transform: uppercase; color: var(--soft); }
header p { margin: 4px 0 0; color: var(--soft); overflow-wrap: anywhere; }
header .failure { color: var(--sync); font-weight: 600; }
.mono { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 12px; }
section { margin-top: 20px; padding: 18px 20px; background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.bottleneck { border-left: 5px solid var(--inflate); }
.bottleneck h2 { margin-bottom: 4px; }
.bottleneck p { margin: 0; font-size: 18px; }
.tiles { display: flex; flex-wrap: wrap; gap: 12px 40px; }
.tiles b { display: block; font-size: 22px; line-height: 1.2; }
.tiles span { color: var(--soft); font-size: 13px; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 0 0 14px; padding: 0; list-style: none; font-size: 13px; }
.legend small { margin-left: 6px; color: var(--soft); }
.legend i, td i { display: inline-block; width: 11px; height: 11px; margin-right: 7px; border-radius: 3px; vertical-align: -1px; }
.axis, .lane { display: grid; grid-template-columns: 230px 1fr; }
.axis > div { position: relative; height: 20px; border-bottom: 1px solid var(--line); }
.axis div span { position: absolute; padding-left: 4px; border-left: 1px solid var(--line); color: var(--soft); font-size: 11px; white-space: nowrap; }
.lane > span { padding: 4px 12px 4px 0; overflow: hidden; color: var(--soft); font-size: 12px; text-overflow: ellipsis; white-space: nowrap; }
.lane > span b { color: var(--ink); font-weight: 500; }
.lane > div { padding: 4px 0; border-bottom: 1px solid var(--grid); }
.lane em { padding-left: 4px; color: var(--soft); font-size: 12px; }
.track { position: relative; height: 10px; margin: 2px 0; border-radius: 3px; background: var(--grid); }
.bar { display: flex; position: absolute; top: 0; bottom: 0; min-width: 2px; overflow: hidden; border-radius: 3px; }
.bar i { display: block; height: 100%; }
.bar.cut { border-right: 3px solid var(--sync); }
.resolve { background: var(--resolve); } .fetch { background: var(--fetch); } .wait { background: var(--wait); }
.verify { background: var(--verify); } .extract { background: var(--extract); } .inflate { background: var(--inflate); }
.apply { background: var(--apply); } .rebase { background: var(--rebase); } .commit { background: var(--commit); }
.sync { background: var(--sync); } .record { background: var(--record); }
table { width: 100%; border-collapse: collapse; font-size: 13px; }
th { color: var(--soft); font-weight: 500; text-align: left; }
th, td { padding: 5px 14px 5px 0; border-bottom: 1px solid var(--grid); }
footer { margin-top: 20px; color: var(--soft); font-size: 12px; }
@media (max-width: 720px) { .axis, .lane { grid-template-columns: 110px 1fr; } }
`;
