"""Every dashboard builds, fits Grafana's schema, and keeps the house's rules: nothing overlaps, all is described, links lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from infra.dashboards import alerting, metrics_source, panels
from infra.dashboards.build import as_json, boards
from infra.dashboards.links import HEALTH
from infra.dashboards.source import KIND, UID
from infra.dashboards.variables import INTERVALS
from lakehouse.contracts import CONTRACTS
from lakehouse.countries import COUNTRIES

from .sdk_schema import misfits

register_default_plugins()
API = "https://shop.example"
BUILT = {board.uid: as_json(board.build(API)) for board in boards()}
MACROS = {"__timeFrom", "__timeTo", "__timeGroupAlias", "__rate_interval"}
COLUMNS = 24


def lost(ours: Any, read: Any, where: str = "") -> Iterator[str]:
    """Places of ours that were not read back: a key that Grafana does not know. Its own defaults may come on top."""
    if isinstance(ours, dict):
        for key, value in ours.items():
            yield from lost(value, read.get(key), f"{where}.{key}") if isinstance(read, dict) else [where]
    elif isinstance(ours, list) and isinstance(read, list) and len(ours) == len(read):
        for place, (one, other) in enumerate(zip(ours, read, strict=True)):
            yield from lost(one, other, f"{where}[{place}]")
    elif ours != read:
        yield where


def content(uid: str) -> dict[str, Any]:
    return dict(orjson.loads(BUILT[uid]))


def drawn(uid: str) -> list[dict[str, Any]]:
    return [panel for panel in content(uid)["panels"] if panel["type"] != "row"]


def queries(uid: str) -> Iterator[str]:
    for panel in drawn(uid):
        yield from (target.get("rawSql") or target["expr"] for target in panel["targets"])


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


each = pytest.mark.parametrize("uid", sorted(BUILT))


def test_the_six_dashboards_are_there_under_short_unique_ids() -> None:
    subjects = {"executive", "sales", "ingestion", "customers", "products", "health"}
    assert set(BUILT) == {f"globalmart-{subject}" for subject in subjects}
    assert all(len(uid) <= 40 for uid in BUILT)
    assert len({content(uid)["title"] for uid in BUILT}) == len(BUILT)


@each
def test_it_is_what_the_sdk_reads_back_and_fits_grafanas_types(uid: str) -> None:
    parsed = Dashboard.from_json(content(uid))
    assert list(lost(content(uid), orjson.loads(as_json(parsed)))) == []
    assert list(misfits(parsed)) == []


def test_the_check_of_types_finds_what_does_not_fit() -> None:
    broken = content("globalmart-executive")
    broken["graphTooltip"] = 7
    broken["panels"][1]["gridPos"]["w"] = "wide"
    broken["panels"][1]["options"]["graphMode"] = "loud"
    found = list(misfits(Dashboard.from_json(broken)))
    places = [one.split(":")[0] for one in found]
    assert places == [".graph_tooltip", ".panels[1].grid_pos.w", ".panels[1].options.graph_mode"]


@each
def test_building_again_gives_the_same_bytes(uid: str) -> None:
    (again,) = [board for board in boards() if board.uid == uid]
    assert as_json(again.build(API)) == BUILT[uid]


@each
def test_panels_have_ids_of_their_own_and_do_not_overlap(uid: str) -> None:
    every = content(uid)["panels"]
    assert [panel["id"] for panel in every] == list(range(1, len(every) + 1))
    taken: set[tuple[int, int]] = set()
    for panel in every:
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= COLUMNS, panel["title"]
        cells = {
            (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    height = max(y for _, y in taken) + 1
    assert len(taken) == COLUMNS * height, "a hole in the grid"


@each
def test_each_panel_says_what_it_is_and_where_it_is_from(uid: str) -> None:
    titles = [panel["title"] for panel in content(uid)["panels"]]  # rows too
    assert len(set(titles)) == len(titles)
    for panel in drawn(uid):
        assert panel["title"]
        assert len(panel["description"]) > 30
        assert panel["description"].endswith("."), panel["title"]
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"], panel["title"]
        assert defaults["noValue"] == panels.NOTHING
        source = (metrics_source.KIND, metrics_source.UID) if uid == HEALTH else (KIND, UID)
        assert (panel["datasource"]["type"], panel["datasource"]["uid"]) == source
        assert [target["datasource"]["uid"] for target in panel["targets"]] == [source[1]]
        over_time = panel["type"] == "timeseries" or (uid == HEALTH and panel["type"] == "stat")
        assert panel["targets"][0]["format"] == ("time_series" if over_time else "table")


@each
def test_money_has_dollars_and_two_decimals(uid: str) -> None:
    for panel in drawn(uid):
        config = panel["fieldConfig"]
        formats = [(config["defaults"]["unit"], config["defaults"]["decimals"])]
        for override in config["overrides"]:
            values = {one["id"]: one["value"] for one in override["properties"]}
            formats += [(values["unit"], values["decimals"])] if "unit" in values else []
        has_money = any(unit == panels.MONEY for unit, _ in formats)
        assert has_money == ("USD" in panel["description"]), panel["title"]
        assert all(decimals == 2 for unit, decimals in formats if unit == panels.MONEY)


@each
def test_variables_are_used_and_what_is_used_is_declared(uid: str) -> None:
    declared = {variable["name"]: variable for variable in content(uid)["templating"].get("list", ())}
    texts = list(queries(uid))
    used = {name for sql in texts for name in re.findall(r"\$([a-z]\w*)", sql)}
    assert used == set(declared)
    for name, variable in declared.items():
        assert variable["description"]
        if variable.get("includeAll"):
            assert variable["allValue"] == name  # `country IN (country)`: no row is left out
            assert all(f"{name} IN (${name})" in sql for sql in texts if f"${name}" in sql)


@each
def test_macros_are_known_ones_and_periods_are_half_open(uid: str) -> None:
    for sql in queries(uid):
        assert set(re.findall(r"\$(__\w+)", sql)) <= MACROS, sql
        assert not re.search(r"\$__timeGroup\(", sql), "Grafana takes it for the alias before a comma"
        for column in re.findall(r"(\w+) >= \$__timeFrom\(\)", sql):
            assert f"{column} < $__timeTo()" in sql, sql
        if "$__timeGroupAlias" in sql:
            assert "'$interval'" in sql


@each
def test_links_lead_to_dashboards_that_are_there_and_to_the_explorer(uid: str) -> None:
    made = content(uid)
    menu, *pages = made["links"]
    assert (menu["type"], menu["tags"], menu["keepTime"], menu["includeVars"]) == (
        "dashboards",
        made["tags"],
        True,
        True,
    )
    assert pages
    for page in pages:
        assert re.fullmatch(rf"{API}/explorer(/[a-z-]+)?", page["url"]), page["url"]
        assert page["targetBlank"]
    for text in strings(made):
        for target, query in re.findall(r"/d/([\w-]+)\?(\S+)", text):
            assert target in BUILT
            for name in re.findall(r"var-(\w+)=", query):
                assert name in {one["name"] for one in content(target)["templating"].get("list", ())}, text


@each
def test_times_are_utc_and_nothing_is_edited_in_the_browser(uid: str) -> None:
    made = content(uid)
    assert (made["timezone"], made["editable"], made["time"]["to"]) == ("utc", False, "now")
    assert "id" not in made  # a number of one server's own


def test_choices_are_those_of_the_platform() -> None:
    names = {}
    for uid in BUILT:
        for variable in content(uid)["templating"].get("list", ()):
            if variable["type"] == "custom":
                values = [one["value"] for one in variable["options"] if one["value"] != "$__all"]
                names[variable["name"]] = values
                assert variable["query"] == ",".join(values)
                assert variable["current"]["value"] in {*values, "$__all"}
    assert names == {"country": list(COUNTRIES), "topic": list(CONTRACTS), "interval": list(INTERVALS)}


def test_every_alert_rule_is_shown_by_a_panel() -> None:
    for watch in alerting.WATCHES:
        uid, title = watch.shown_by
        assert title in [panel["title"] for panel in drawn(uid)]
