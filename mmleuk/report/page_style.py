"""The report page's style sheet: no fonts, scripts or files from elsewhere."""

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1b1f; --dim: #5b5b66; --line: #dcdce3; --card: #f6f6f9;
  --bar: #0072b2; --track: #e4e4ec; --warn: #7a3e00; --warn-paper: #fff4e5; }
@media (prefers-color-scheme: dark) { :root { --paper: #16161a; --ink: #ececf1; --dim: #a3a3b0; --line: #34343d;
  --card: #1f1f26; --bar: #56b4e9; --track: #34343d; --warn: #ffcf94; --warn-paper: #33240f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 70rem; padding: 1.5rem 1rem 4rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .5rem; } h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 0; } p { margin: .4rem 0; } a { color: var(--bar); }
.sentence { font-size: 1.3rem; line-height: 1.4; margin: 1rem 0 .5rem; }
.dim { color: var(--dim); font-size: .9rem; }
.warn { background: var(--warn-paper); color: var(--warn); border-left: .3rem solid; padding: .5rem .8rem; }
.types { display: grid; gap: .8rem; }
.type { background: var(--card); border: 1px solid var(--line); border-left: .5rem solid; border-radius: .4rem;
  padding: .7rem .9rem; }
.type.dashed { border-left-style: dashed; }
.type header { display: flex; flex-wrap: wrap; gap: .2rem 1rem; align-items: baseline; }
.crops { display: flex; flex-wrap: wrap; gap: .5rem; margin-top: .5rem; }
figure { margin: 0; width: 112px; } figure img { display: block; border-radius: .3rem; width: 112px; height: 112px; }
figcaption { font-size: .75rem; color: var(--dim); overflow-wrap: anywhere; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: .8rem; }
.chart { background: var(--card); border: 1px solid var(--line); border-radius: .4rem; padding: .7rem .9rem; }
svg { display: block; width: 100%; height: auto; margin-top: .3rem; }
svg .track { fill: var(--track); } svg .bar { fill: var(--bar); } svg text { fill: var(--ink); font-size: 13px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid var(--line); }
th { white-space: nowrap; } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
td { overflow-wrap: anywhere; min-width: 4rem; } td.long { min-width: 16rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; font-size: .9rem; }
dt { color: var(--dim); } dd { margin: 0; overflow-wrap: anywhere; }
@media print { body { max-width: none; } .type, .chart, tr { break-inside: avoid; } }
"""
