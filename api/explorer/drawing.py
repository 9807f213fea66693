"""From a chart function's figure to what a page carries: the specification without title and colours, which the page itself gives."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from api.explorer.charts import THEMES, Figure
from api.explorer.figures.reading import Row
from api.explorer.formats import words

_MOST_KEPT = 200
_kept: OrderedDict[tuple[str, str], Drawn] = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True)
class Drawn:
    """A chart on a page. `id` is that of its place; `words` describe it to who does not see it."""

    id: str
    spec: dict[str, Any]
    words: str

    @property
    def json(self) -> Markup:
        return embedded(self.spec)


def drawn(name: str, rows: list[Row], chart: Callable[[list[Row]], Figure]) -> Drawn | None:
    """The figure that `chart` makes of `rows`; None where there are none, so that the page can say so in words.

    The same `name` and rows must mean the same figure: making one takes longer than reading its rows, so the last ones are kept.
    """
    if not rows:
        return None
    key = (name, json.dumps(rows, default=str))
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    made = of_figure(name, chart(rows))
    with _lock:
        _kept[key] = made
        while len(_kept) > _MOST_KEPT:
            _kept.popitem(last=False)
    return made


def named(rows: list[Row], column: str) -> list[Row]:
    """The rows with the names in `column` in words, as the rest of the page has them."""
    return [{**row, column: words(row[column])} for row in rows]


def of_figure(name: str, figure: Figure) -> Drawn:
    # What the chart functions make is tested to be valid: validating it again would cost more than the page.
    spec: dict[str, Any] = figure.to_dict(validate=False)
    told = spec.pop("description", "")
    for given in ("title", "config", "$schema"):
        spec.pop(given, None)
    return Drawn(f"chart-{name}", spec, told)


def embedded(value: Any) -> Markup:
    """JSON that can stand inside a script element: no text in it can end the element."""
    text = json.dumps(value, separators=(",", ":"), default=str)
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))  # noqa: S704


def theme_configs() -> Markup:
    """Vega-Lite's `config` of the light and the dark theme, on the page's own surface."""
    return embedded({name: {**theme.config, "background": None} for name, theme in THEMES.items()})
