"""Style and script of the page. Both are inline, so that it works offline, and allowed by their hash alone."""

from __future__ import annotations

import base64
import hashlib

ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Cpath d='M1 9q2-5 4 0t4 0 4 0 2-2' "
    "fill='none' stroke='%230b5cad' stroke-width='2'/%3E%3C/svg%3E"
)

STYLE = """
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1b2430;--soft:#5a6675;--line:#dfe4ea;--good:#1a7f4b;
--warm:#8a5a00;--bad:#b3261e;--accent:#0b5cad;--good-bg:#e3f4ea;--warm-bg:#fdf1d8;--bad-bg:#fbe4e2;--bar:#d5dbe3;
--read:#0b5cad;--band:#7aa7d433;--spread:#0b5cad2e;--want:#7d8896;--odd:#b3261e;--epi:#b3261e24;--new:#7a3fb8}
@media (prefers-color-scheme:dark){:root{--bg:#11161c;--card:#19212a;--ink:#e6ebf1;--soft:#9aa7b6;--line:#2b3642;
--good:#6fd39c;--warm:#f0c060;--bad:#ff8f86;--accent:#7db8f5;--good-bg:#143325;--warm-bg:#3a2d10;--bad-bg:#421d1b;
--bar:#2f3b48;
--read:#7db8f5;--band:#7db8f526;--spread:#7db8f540;--want:#93a1b1;--odd:#ff8f86;--epi:#ff8f8630;--new:#c9a3f5}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",Arial,sans-serif}
.wrap{max-width:72rem;margin:0 auto;padding:1.25rem 1.25rem 3rem}
header{display:flex;flex-wrap:wrap;align-items:baseline;gap:.35rem 1rem;margin-bottom:1rem}
h1{font-size:1.4rem;margin:0;letter-spacing:-.01em}
h2{font-size:1.05rem;margin:2rem 0 .6rem}
h3{font-size:1rem;margin:0;overflow-wrap:anywhere}
a{color:var(--accent)}
a:focus-visible,.scroll:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
.soft{color:var(--soft)}
.right{margin-left:auto}
.pill{display:inline-block;padding:.05rem .55rem;border-radius:1rem;font-size:.85rem;font-weight:600;white-space:nowrap}
.good{color:var(--good);background:var(--good-bg)}
.warm{color:var(--warm);background:var(--warm-bg)}
.bad{color:var(--bad);background:var(--bad-bg)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,21rem),1fr));gap:1rem}
.card,.scroll,.events li,.empty{background:var(--card);border:1px solid var(--line);border-radius:.6rem}
.card{padding:.9rem 1rem}
.card p{margin:.35rem 0 .6rem}
.card dl{display:grid;grid-template-columns:auto 1fr;gap:.1rem .9rem;margin:0;font-size:.9rem}
dt{color:var(--soft)}
dd{margin:0;text-align:right;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
progress{appearance:none;width:100%;height:.45rem;border:0;border-radius:.3rem;overflow:hidden;background:var(--bar);
display:block;margin:.2rem 0 .7rem}
progress::-webkit-progress-bar{background:var(--bar)}
progress::-webkit-progress-value{background:var(--accent)}
progress::-moz-progress-bar{background:var(--accent)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{padding:.4rem .8rem;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}
tbody tr:last-child td,tbody tr:last-child th{border-bottom:0}
th{font-weight:600}
thead th{color:var(--soft);font-size:.82rem;white-space:nowrap}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.name{min-width:8rem;max-width:22rem;overflow-wrap:anywhere}
.events{list-style:none;margin:0;padding:0;display:grid;gap:.6rem}
.events li{padding:.7rem 1rem}
.line{display:flex;flex-wrap:wrap;gap:0 1rem;justify-content:space-between;overflow-wrap:anywhere}
.events p{margin:.15rem 0 0;overflow-wrap:anywhere}
.brand{font-size:1.15rem;font-weight:700;margin:0}
.brand a,nav a{text-decoration:none}
nav a,.spans a{display:inline-block;padding:.2rem .5rem;border-radius:.4rem}
nav a:hover{background:var(--line)}
a:focus-visible,button:focus-visible,input:focus-visible,select:focus-visible{outline:2px solid var(--accent);
outline-offset:2px}
.small{font-size:.9rem;font-weight:400;margin-left:.4rem}
.say{font-size:1.1rem;margin:.4rem 0 .8rem}
.spans{display:flex;flex-wrap:wrap;gap:.2rem;margin:.6rem 0}
.spans [aria-current]{background:var(--accent);color:var(--card)}
.chart{margin:0 0 1rem;padding:.7rem}
.chart svg{display:block;width:100%;height:auto}
.narrow{display:none}
@media (max-width:40rem){.wide{display:none}.narrow{display:block}.wrap{padding:.8rem .8rem 2rem}.right{margin-left:0}}
.panel{fill:none;stroke:var(--line)}
.grid{stroke:var(--line);stroke-width:.7}
.tick{fill:var(--soft);font-size:12px}
.end{text-anchor:end}
.middle{text-anchor:middle}
.band{fill:var(--band)}
.spread{fill:var(--spread)}
polyline{fill:none;stroke-linejoin:round}
.reading{stroke:var(--read);stroke-width:1.5}
.expected{stroke:var(--want);stroke-width:1.2;stroke-dasharray:4 3}
.score{stroke:var(--warm);stroke-width:1.3}
.reading-dot{fill:var(--read)}
.expected-dot{fill:var(--want)}
.score-dot{fill:var(--warm)}
.day{fill:var(--odd)}
.threshold{stroke:var(--odd);stroke-width:1;stroke-dasharray:2 3}
.odd{fill:var(--odd)}
.episode{fill:var(--epi)}
a:hover .episode,a:focus .episode{stroke:var(--odd)}
.promotion{fill:var(--new)}
.drift{stroke:var(--new);stroke-width:1.5;stroke-dasharray:6 3}
.label-fault{fill:var(--odd)}
.label-normal{fill:var(--good)}
.legend{display:flex;flex-wrap:wrap;gap:.1rem 1rem;list-style:none;margin:.5rem 0 0;padding:0;font-size:.85rem;
color:var(--soft)}
.key{display:inline-block;width:1.3rem;height:.7rem;margin-right:.35rem;vertical-align:-.05rem;border-radius:2px}
.key.reading{border-bottom:2px solid var(--read)}
.key.expected{border-bottom:2px dashed var(--want)}
.key.score{border-bottom:2px solid var(--warm)}
.key.threshold{border-bottom:2px dotted var(--odd)}
.key.band{background:var(--band)}
.key.episode{background:var(--epi)}
.key.promotion{background:var(--new);width:.6rem;clip-path:polygon(0 0,100% 0,50% 100%)}
.key.drift{border-bottom:2px dashed var(--new)}
.key.label-fault{background:var(--odd)}
.key.label-normal{background:var(--good)}
.search{display:flex;flex-wrap:wrap;gap:.6rem 1rem;align-items:end;margin:.6rem 0}
.search label{display:grid;font-size:.85rem;color:var(--soft)}
input,select,button{font:inherit;color:var(--ink);background:var(--card);border:1px solid var(--line);
border-radius:.4rem;padding:.3rem .55rem;max-width:100%}
button{white-space:nowrap;cursor:pointer;color:var(--accent);font-weight:600}
button:disabled{color:var(--soft);opacity:.6;cursor:default}
.card dl.bars{grid-template-columns:auto minmax(0,1fr) auto}
.bars dd.n{min-width:3rem}
meter{width:100%;vertical-align:middle}
.card dl.facts{grid-template-columns:minmax(6rem,auto) 1fr}
.facts dd{text-align:left}
h4{margin:.8rem 0 .2rem;font-size:.9rem}
.quoted{font-family:ui-monospace,monospace;font-size:.85rem;overflow-wrap:anywhere}
.empty{padding:.9rem 1rem;margin:0;color:var(--soft)}
#offline{display:none}
body.offline #offline{display:inline-block}
body.offline #live{display:none}
footer{margin-top:2.2rem;font-size:.88rem;color:var(--soft)}
footer a{margin-right:1rem;white-space:nowrap}
"""

SCRIPT = """
"use strict";
(() => {
  let seen = document.getElementById("taken").dataset.at;
  let busy = false;
  const get = async (path) => {
    const answer = await fetch(path, {cache: "no-store", signal: AbortSignal.timeout(10000)});
    if (!answer.ok) throw new Error(answer.status);
    return answer;
  };
  const update = async () => {
    if (busy || document.hidden) return;
    busy = true;
    try {
      const status = await (await get("api/v1/status")).json();
      if (String(status.taken_at) !== seen) {
        const page = new DOMParser().parseFromString(await (await get("./")).text(), "text/html");
        for (const part of page.querySelectorAll("[data-part]")) {
          const own = document.getElementById(part.id);
          if (own && own.innerHTML !== part.innerHTML) own.replaceChildren(...part.cloneNode(true).childNodes);
        }
        const taken = page.getElementById("taken");
        if (taken) seen = taken.dataset.at;
      }
      document.body.classList.remove("offline");
    } catch (error) {
      document.body.classList.add("offline");
    } finally {
      busy = false;
    }
  };
  setInterval(update, 5000);
  document.addEventListener("visibilitychange", update);
})();
"""


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


POLICY = (
    f"default-src 'none'; style-src 'sha256-{_hash(STYLE)}'; script-src 'sha256-{_hash(SCRIPT)}'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Content-Security-Policy: nothing but this style and this script runs, whatever a label says."""

PAGE_HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "same-origin"}
"""Of every page; a browser names the origin of a form only to who may know where it was."""
