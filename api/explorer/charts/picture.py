"""A chart as a picture that needs neither a script nor a network: SVG, drawn by the Vega-Lite that vl-convert carries."""

from __future__ import annotations

from typing import Any

import altair as alt
import vl_convert

WIDTH = 720
"""Pixels, of charts that are else as wide as the place they stand in."""


def picture(spec: dict[str, Any]) -> str:
    """SVG of a Vega-Lite specification, such as `Figure.to_dict()` gives."""
    whole = spec | ({"width": WIDTH} if spec.get("width") == "container" else {})
    release = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    return str(vl_convert.vegalite_to_svg(whole, vl_version=release))
