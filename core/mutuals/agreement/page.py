"""One HTML page that needs nothing else: no network, no script; for reading, a phone, and paper, by day and by night.

html = page("Agreement A-7Q3K2M9X", "<h1>…</h1>…")
"""

from __future__ import annotations

from html import escape

from mutuals.agreement.blocks import printable

STYLE = """
:root{color-scheme:light dark;--ink:#1a1a1a;--paper:#fff;--quiet:#4b5158;--rule:#c9ccd1;--hair:#dfe1e5}
@media screen and (prefers-color-scheme:dark){
:root{--ink:#e8e8e6;--paper:#16181c;--quiet:#a9b0b8;--rule:#4a4f57;--hair:#33373d}
.mark.yes{color:#a5e0bd;background:#12301f;border-color:#3f7a57}
.mark.no{color:#f2d49a;background:#35270c;border-color:#86692a}
}
body{margin:0;background:var(--paper);color:var(--ink);
font:1.0625rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:52rem;margin:0 auto;padding:1.5rem 1rem 4rem}
h1{font-size:1.7rem;line-height:1.25;margin:0 0 1rem;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:2.25rem 0 .5rem;padding-top:.75rem;border-top:1px solid var(--rule);overflow-wrap:anywhere}
.date{white-space:nowrap}
ul{list-style:none;margin:0;padding:0}
li{display:grid;grid-template-columns:6.5rem 1fr;gap:.15rem .9rem;padding:.4rem 0}
li.plain{grid-template-columns:1fr}
li p{margin:0;overflow-wrap:anywhere;white-space:pre-line}
li strong{display:block;font-weight:600}
.mark{justify-self:start;align-self:start;margin-top:.15rem;padding:.05rem .5rem;border:1px solid;border-radius:1rem;
font-size:.8rem;line-height:1.5;white-space:nowrap}
.yes{color:#0b4a2b;background:#e5f4ea;border-color:#7fb894}
.no{color:#5c3a00;background:#fdf3dc;border-color:#cfae6a}
table{border-collapse:collapse;width:100%;margin:.75rem 0;font-size:.97rem}
th,td{text-align:left;vertical-align:top;padding:.45rem .7rem .45rem 0;border-bottom:1px solid var(--hair);
overflow-wrap:break-word}
td span{min-width:0}
th .mark{display:inline-block;margin:0 0 .2rem}
th .mark+span{display:block}
@media (max-width:40rem){
li{grid-template-columns:1fr}
thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
table,tbody,tr,td{display:block}
tr{padding:.6rem 0;border-bottom:1px solid var(--rule)}
td{border:0;padding:.15rem 0;display:grid;grid-template-columns:7rem 1fr;gap:.6rem}
td::before{content:attr(data-label);color:var(--quiet);font-size:.85rem}
}
@page{margin:18mm 16mm}
@media print{
:root{color-scheme:light;--ink:#000;--paper:#fff;--quiet:#3c4147;--rule:#8d9299;--hair:#c9ccd1}
body{font-size:10.5pt}
main{max-width:none;padding:0}
h2{break-after:avoid}
li,tr{break-inside:avoid}
thead,tbody tr:first-child,tbody tr:nth-last-child(2){break-after:avoid}
p{orphans:3;widows:3}
.mark{background:none}
}
"""


def page(title: str, body: str, *, style: str = "", language: str = "en") -> str:
    """The page, as UTF-8 text: ``body`` is HTML, ``title`` plain text, ``style`` CSS beside that of all pages."""
    return (
        f'<!DOCTYPE html>\n<html lang="{escape(language)}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{text(title)}</title>\n<style>{STYLE}{style}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n"
        "</body>\n</html>\n"
    )


def text(value: str) -> str:
    """``value`` as it may stand in HTML, also in an attribute, whoever wrote it."""
    return escape(printable(value), quote=True)
