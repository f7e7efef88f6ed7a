"""The page of `tidegauge describe`: one self-contained HTML file, its charts drawn as SVG."""

from __future__ import annotations

from markupsafe import Markup

from daemon.config.units import format_duration
from daemon.describe.description import Description
from daemon.describe.suggestion import arrival_words, interval_words
from daemon.describe.value_summary import Values
from daemon.presentation.words import instant
from daemon.web.page_assets import STYLE
from models.markup import render as fill

_PACKAGE = "daemon.describe"
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
        *([("refused", d.refused)] if d.refused else []),
        ("repeated slots", f"{d.repeated:,}"),
        ("series", f"{len(d.series):,}"),
        ("from", instant(d.first_at)),
        ("to", instant(d.last_at)),
        ("interval", interval_words(d)),
        ("arrival", arrival_words(d)),
        ("missing slots", f"{d.missing:,} in {d.gaps:,} gaps"),
        ("seasons", ", ".join(f"{format_duration(s.period_s)} ({s.strength:.2f})" for s in d.seasons) or "none found"),
    ]
    return fill(
        _PACKAGE,
        "describe.html",
        title=d.file.rsplit("/", 1)[-1],
        style=Markup(STYLE + _CHART),
        facts=facts,
        numbers=numbers,
        box_plot=Markup(box_plot(v)),
        outside=v.outside,
        histogram=Markup(histogram(v)),
        gaps=[(g.series, instant(g.after), instant(g.before), f"{g.slots:,}") for g in d.longest_gaps],
        yaml=yaml,
    )


def _across(v: Values, value: float) -> float:
    """Horizontal place of a value."""
    share = (value - v.min) / (v.max - v.min) if v.max > v.min else 0.5
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def box_plot(v: Values) -> str:
    """Box plot of the values as SVG; ticks at both ends are the smallest and the greatest."""
    names = ("min", "lower", "q25", "median", "q75", "upper", "max")
    x = {name: _across(v, getattr(v, name)) for name in names}
    return fill(
        _PACKAGE,
        "box_plot.svg",
        width=f"{_WIDTH:g}",
        left=_LEFT,
        right=_WIDTH - _RIGHT,
        x={name: f"{at:.1f}" for name, at in x.items()},
        box=f"{x['q75'] - x['q25']:.1f}",
        shown={name: f"{getattr(v, name):g}" for name in names},
    )


def histogram(v: Values) -> str:
    """Histogram of the values as SVG."""
    most, high, top = max(v.bins), 170.0, 24.0  # bars begin below the words
    step = (_WIDTH - _LEFT - _RIGHT) / len(v.bins)
    bars = [
        {
            "x": f"{_LEFT + i * step:.1f}",
            "y": f"{top + high * (1 - n / most):.1f}",
            "width": f"{step - 1:.1f}",
            "height": f"{high * n / most:.1f}",
            "count": f"{n:,}",
        }
        for i, n in enumerate(v.bins)
    ]
    return fill(
        _PACKAGE,
        "histogram.svg",
        width=f"{_WIDTH:g}",
        left=_LEFT,
        right=_WIDTH - _RIGHT,
        bars=bars,
        most=f"{most:,}",
        least_value=f"{v.min:g}",
        greatest_value=f"{v.max:g}",
    )
