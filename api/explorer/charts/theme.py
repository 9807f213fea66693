"""How all charts look, light and dark: colours, type, lines. The only place that names a colour.

A chart refers to colours by role (its category's place, a mark's style), so the same specification under the other theme's `config` is the
other theme's chart. Roles keep their meaning: of a chart with good and bad values the first three colours are fine, warning and bad.

Data colours have a contrast of 3 to 1 or more against the surface (WCAG 2.2, 1.4.11) and stay apart for people who see no red, green or blue
(simulated after Machado, Oliveira and Fernandes, IEEE TVCG 15(6), 2009); no chart tells anything by colour alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"


@dataclass(frozen=True)
class Theme:
    """Colours as `#rrggbb`. `palette` is for kinds, `ramp` from little to much; both ends of `ramp` bear text in `ink`."""

    name: str
    surface: str
    ink: str
    muted: str
    grid: str
    land: str
    palette: tuple[str, ...]
    ramp: tuple[str, str]

    @property
    def config(self) -> dict[str, Any]:
        """Vega-Lite's `config` of this theme."""
        return {
            "background": self.surface,
            "font": FONT,
            "padding": 8,
            "view": {"stroke": None},
            "title": {
                "anchor": "start",
                "color": self.ink,
                "fontSize": 15,
                "fontWeight": 600,
                "offset": 12,
                "subtitleColor": self.muted,
                "subtitleFontSize": 12,
                "subtitlePadding": 4,
            },
            "axis": {
                "domainColor": self.grid,
                "gridColor": self.grid,
                "tickColor": self.grid,
                "labelColor": self.ink,
                "titleColor": self.muted,
                "labelFontSize": 12,
                "titleFontSize": 12,
                "titleFontWeight": "normal",
                "labelOverlap": True,
                "labelSeparation": 8,
            },
            "legend": {
                "orient": "top",
                "columns": 3,
                "labelColor": self.ink,
                "titleColor": self.muted,
                "labelFontSize": 12,
                "titleFontSize": 12,
                "titleFontWeight": "normal",
                "symbolStrokeWidth": 2,
                "symbolOpacity": 1,
            },
            "mark": {"color": self.palette[0]},
            "text": {"font": FONT, "color": self.ink, "fontSize": 12},
            "range": {
                "category": list(self.palette),
                "ramp": list(self.ramp),
                "heatmap": list(self.ramp),
                "ordinal": list(self.ramp),
            },
            "style": {
                "land": {"color": self.land, "stroke": self.surface, "strokeWidth": 1},
                "graticule": {"color": self.grid, "strokeWidth": 0.5, "filled": False},
                "message": {"color": self.muted, "fontSize": 14, "align": "center"},
            },
        }


LIGHT = Theme(
    name="light",
    surface="#ffffff",
    ink="#1f2328",
    muted="#57606a",
    grid="#d8dee4",
    land="#d3dae1",
    palette=("#1c4f9c", "#b87f00", "#a3172f", "#1a9a86", "#9d6ff2", "#44303f"),
    ramp=("#edf3fb", "#86add9"),
)
DARK = Theme(
    name="dark",
    surface="#161b22",
    ink="#e6edf3",
    muted="#9aa5b1",
    grid="#30363d",
    land="#3a434d",
    palette=("#4788c2", "#ffc044", "#e8705c", "#35d6d9", "#b48dff", "#f1f5d8"),
    ramp=("#1f2a36", "#2c64a0"),
)
THEMES = {theme.name: theme for theme in (LIGHT, DARK)}
