"""The style of a run's report, beside that of all pages (``mutuals.agreement.page``)."""

from __future__ import annotations

STYLE = """
:root{--own:#2c64a8;--other:#a9741a;--both:#2f5d4a;--own-fill:#2c64a838;--other-fill:#d69a2b40;--both-fill:#1f6b5399;
--bar:#8a919a;--track:#eef0f2;--open:#eef0f2}
@media (prefers-color-scheme:dark){
:root{--own:#83b3ee;--other:#e6b761;--both:#8fd3b6;--own-fill:#4a86cf4d;--other-fill:#c08a2b4d;--both-fill:#4fb08fa6;
--bar:#79818b;--track:#24282e;--open:#2a2f36}
}
main{max-width:52rem}
header{margin-bottom:1.5rem}
header p{margin:.35rem 0;max-width:none;text-wrap:pretty}
.over{margin:0;font-size:.8rem;letter-spacing:.08em;text-transform:uppercase;color:var(--quiet)}
h1{font-size:2.1rem;font-weight:650;letter-spacing:-.015em;margin:.15rem 0 .4rem;text-wrap:balance}
h2{font-size:1.15rem;font-weight:650}
h3{font-size:1rem;font-weight:650;margin:0 0 .35rem;overflow-wrap:anywhere}
p{margin:.6rem 0;max-width:46rem;overflow-wrap:break-word}
.quiet{color:var(--quiet);font-size:.93rem}
.state{padding-top:.35rem}
.state .mark{margin-right:.35rem}
.mark.open{color:var(--ink);background:var(--open);border-color:var(--rule)}
.lead{font-size:1.2rem;line-height:1.5;max-width:none;text-wrap:pretty}
.pair{display:grid;grid-template-columns:minmax(0,26rem) minmax(0,1fr);gap:1rem 2.5rem;align-items:center}
figure{margin:.5rem 0 0}
figcaption{color:var(--quiet);font-size:.85rem;text-align:center}
.venn{display:block;width:100%;height:auto}
.venn circle,.venn path{stroke-width:1.25}
.venn .own{fill:var(--own-fill);stroke:var(--own)}
.venn .other{fill:var(--other-fill);stroke:var(--other)}
.venn .both{fill:var(--both-fill);stroke:var(--both)}
.venn .leader{fill:none;stroke:var(--quiet);stroke-width:.75}
.venn text{fill:var(--ink);font-size:18px;font-weight:650;font-variant-numeric:tabular-nums}
.venn .name{font-size:14px;font-weight:400;fill:var(--quiet)}
table.plain{font-variant-numeric:tabular-nums;margin:1rem 0 1.25rem}
table.plain th{font-weight:400}
table.plain thead th{color:var(--quiet);font-size:.85rem;border-bottom:1px solid var(--rule);padding-bottom:.25rem}
table.plain .num{text-align:right;white-space:nowrap}
table.plain td:last-child,table.plain th:last-child{padding-right:0}
table.plain tbody th{overflow-wrap:anywhere}
table.plain .words{padding-left:1.25rem}
table.plain .minor th,table.plain .minor td{border-bottom-color:transparent;color:var(--quiet);font-size:.93rem;
padding-top:.1rem;padding-bottom:.1rem}
table.plain .minor th{padding-left:1.1rem}
table.plain tr:has(+.minor)>*{border-bottom-color:transparent}
.total th,.total td{font-weight:650!important;border-bottom:0}
.unseen,caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.bars tbody th{width:38%}
.bars th,.bars td{border:0;padding-top:.25rem;padding-bottom:.25rem;vertical-align:middle}
.bars .bar{width:auto}
.bars .num{width:1%;padding-left:.4rem}
.fill{display:block;height:.7rem;min-width:2px;border-radius:2px;background:var(--bar);print-color-adjust:exact;
-webkit-print-color-adjust:exact}
.fill.own{background:var(--own)}
.learned{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:1.5rem 2.5rem}
.learned p{margin:.35rem 0}
dl{margin:.75rem 0 1.5rem}
dl div{display:grid;grid-template-columns:13rem minmax(0,1fr);gap:0 1rem;padding:.35rem 0;
border-bottom:1px solid var(--hair)}
dt{color:var(--quiet)}
dd{margin:0;overflow-wrap:anywhere}
code{font-size:.92em;overflow-wrap:anywhere}
footer{margin-top:2.5rem;padding-top:.75rem;border-top:2px solid var(--rule);font-size:.93rem}
@media (max-width:40rem){
h1{font-size:1.65rem}
.lead{font-size:1.1rem}
.pair,.learned{grid-template-columns:minmax(0,1fr)}
dl div{grid-template-columns:minmax(0,1fr)}
table.plain{display:table}
table.plain thead:not(.unseen){position:static;display:table-header-group;clip-path:none}
table.plain tbody{display:table-row-group}
table.plain tr{display:table-row;border:0}
table.plain td{display:table-cell;padding:.45rem .5rem .45rem 0;border-bottom:1px solid var(--hair)}
table.plain .total td{border:0}
table.plain td::before{content:none}
table.plain .minor td,table.bars td{border:0}
table.plain .minor td{padding-top:.1rem;padding-bottom:.1rem}
table.plain .words{padding-left:.75rem}
table.bars .bar{width:24%}
}
@media print{
@page{margin:16mm}
html{font-size:9.5pt}
body{font-size:1.05rem}
p{break-inside:avoid}
p:has(+.bars),h3{break-after:avoid}
:root{--own:#2c64a8;--other:#a9741a;--both:#2f5d4a;--own-fill:#2c64a838;--other-fill:#d69a2b40;--both-fill:#1f6b5399;
--bar:#8a919a}
.pair{grid-template-columns:9cm minmax(0,1fr)}
.lead{font-size:1.1rem}
figure,.learned>div,.bars,dl div,footer{break-inside:avoid}
.venn *{print-color-adjust:exact;-webkit-print-color-adjust:exact}
}
"""
