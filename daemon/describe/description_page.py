"""The page of `tidegauge describe`: one self-contained HTML file, its charts drawn as SVG."""

from __future__ import annotations

from html import escape

from daemon.config.units import format_duration
from daemon.describe.description import Description, Values
from daemon.describe.suggestion import interval_words
from daemon.presentation.words import instant
from daemon.web.page_assets import STYLE

_WIDTH, _LEFT, _RIGHT = 720.0, 20.0, 20.0
_CHART = """
svg{width:100%;height:auto;background:var(--card);border:1px solid var(--line);border-radius:.6rem}
svg text{fill:var(--soft);font-size:12px}
.bar{fill:var(--accent)}
.box{fill:var(--bar);stroke:var(--accent)}
.mark{stroke:var(--accent);stroke-width:2}
.edge{stroke:var(--soft)}
pre{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.9rem 1rem;overflow-x:auto}
"""


def page(d: Description, yaml: str) -> str:
    """The whole page; `yaml` is the suggested configuration."""
    v = d.values
    numbers = [("count", f"{v.count:,}")]
    numbers += [(n, f"{getattr(v, n):.6f}") for n in ("mean", "std", "min", "q25", "median", "q75", "max")]
    facts = [
        ("readings", f"{d.rows:,}"),
        ("rejected lines", ", ".join(f"{n:,} {reason}" for reason, n in sorted(d.rejected.items())) or "none"),
        ("repeated slots", f"{d.repeated:,}"),
        ("series", f"{len(d.series):,}"),
        ("from", instant(d.first_at)),
        ("to", instant(d.last_at)),
        ("interval", interval_words(d)),
        ("missing slots", f"{d.missing:,} in {d.gaps:,} gaps"),
        ("seasons", ", ".join(f"{format_duration(s.period_s)} ({s.strength:.2f})" for s in d.seasons) or "none found"),
    ]
    gaps = [(escape(g.series), instant(g.after), instant(g.before), f"{g.slots:,}") for g in d.longest_gaps]
    title = escape(d.file.rsplit("/", 1)[-1])
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title} - tidegauge describe</title><style>{STYLE}{_CHART}</style></head><body><div class="wrap">
<header><h1>{title}</h1><span class="soft">described by tidegauge</span></header>
{_table(facts)}
<h2>Values</h2>{_table(numbers)}
<h2>Box plot</h2>{box_plot(v)}
<p class="soft">Box: quartiles. Whiskers: the outermost values within 1.5 interquartile ranges of it;
{v.outside:,} values are beyond them.</p>
<h2>Histogram</h2>{histogram(v)}
<h2>Longest gaps</h2>{_gap_table(gaps)}
<h2>Suggested configuration</h2><pre>{escape(yaml)}</pre>
</div></body></html>
"""


def _table(rows: list[tuple[str, str]]) -> str:
    cells = "".join(f'<tr><th>{name}</th><td class="n">{escape(text)}</td></tr>' for name, text in rows)
    return f'<div class="scroll"><table><tbody>{cells}</tbody></table></div>'


def _gap_table(gaps: list[tuple[str, str, str, str]]) -> str:
    if not gaps:
        return '<p class="empty">None: every slot from the first to the last has a reading.</p>'
    rows = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in gap) + "</tr>" for gap in gaps)
    head = "<tr><th>series</th><th>last reading before</th><th>first after</th><th>slots</th></tr>"
    return f'<div class="scroll"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'


def _place(v: Values, value: float) -> float:
    """Horizontal place of a value."""
    share = (value - v.min) / (v.max - v.min) if v.max > v.min else 0.5
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _ends(v: Values, y: float) -> str:
    """Smallest and greatest value below a chart."""
    return (
        f'<text x="{_LEFT}" y="{y}">{v.min:g}</text>'
        f'<text x="{_WIDTH - _RIGHT}" y="{y}" text-anchor="end">{v.max:g}</text>'
    )


def box_plot(v: Values) -> str:
    """Box plot of the values; ticks at both ends are the smallest and the greatest."""
    x = {name: _place(v, getattr(v, name)) for name in ("min", "lower", "q25", "median", "q75", "upper", "max")}
    line = '<line class="{}" x1="{:.1f}" y1="{}" x2="{:.1f}" y2="{}"/>'
    marks = [
        line.format("edge", x["lower"], 50, x["upper"], 50),
        *(line.format("edge", x[name], 38, x[name], 62) for name in ("lower", "upper")),
        *(line.format("mark", x[name], 46, x[name], 54) for name in ("min", "max")),
        f'<rect class="box" x="{x["q25"]:.1f}" y="28" width="{x["q75"] - x["q25"]:.1f}" height="44"/>',
        line.format("mark", x["median"], 28, x["median"], 72),
    ]
    labels = "".join(
        f'<text x="{x[name]:.1f}" y="{y}" text-anchor="middle">{getattr(v, name):g}</text>'
        for name, y in (("q25", 90), ("median", 20), ("q75", 90))
    )
    drawn = "".join(marks) + labels + _ends(v, 106)
    return f'<svg viewBox="0 0 {_WIDTH:g} 112" role="img" aria-label="box plot">{drawn}</svg>'


def histogram(v: Values) -> str:
    """Histogram of the values."""
    most, high, top = max(v.bins), 170.0, 24.0  # bars begin below the words
    step = (_WIDTH - _LEFT - _RIGHT) / len(v.bins)
    bars = "".join(
        f'<rect class="bar" x="{_LEFT + i * step:.1f}" y="{top + high * (1 - n / most):.1f}" width="{step - 1:.1f}" '
        f'height="{high * n / most:.1f}"><title>{n:,}</title></rect>'
        for i, n in enumerate(v.bins)
    )
    most_text = f'<text x="{_WIDTH - _RIGHT}" y="15" text-anchor="end">highest bar: {most:,} values</text>'
    return f'<svg viewBox="0 0 {_WIDTH:g} 216" role="img" aria-label="histogram">{bars}{most_text}{_ends(v, 210)}</svg>'
