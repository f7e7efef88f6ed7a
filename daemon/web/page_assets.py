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
--warm:#8a5a00;--bad:#b3261e;--accent:#0b5cad;--good-bg:#e3f4ea;--warm-bg:#fdf1d8;--bad-bg:#fbe4e2;--bar:#d5dbe3}
@media (prefers-color-scheme:dark){:root{--bg:#11161c;--card:#19212a;--ink:#e6ebf1;--soft:#9aa7b6;--line:#2b3642;
--good:#6fd39c;--warm:#f0c060;--bad:#ff8f86;--accent:#7db8f5;--good-bg:#143325;--warm-bg:#3a2d10;--bad-bg:#421d1b;
--bar:#2f3b48}}
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
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy: nothing but this style and this script runs, whatever a label says."""
