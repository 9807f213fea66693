"""What a key may see: countries restricted or refused, roles in order, personal fields as pseudonyms."""

from __future__ import annotations

import re

import pytest
from fastapi import APIRouter, FastAPI

from api.access import Access, Role
from api.deps import check_declared, declared, requires
from api.errors import ForbiddenError, NotFoundError
from api.personal import HIDDEN, Mask, Pseudonyms

GERMAN = Access("k1", "Berlin", Role.viewer, frozenset({"DE", "GB"}))
EVERYWHERE = Access("k2", "head office", Role.analyst, None, sees_personal=True)


@pytest.mark.parametrize(
    ("asked", "filtered"), [([], ["DE", "GB"]), (["DE"], ["DE"]), (["GB", "DE", "GB"], ["DE", "GB"])]
)
def test_a_key_for_some_countries_is_answered_for_these(asked: list[str], filtered: list[str]) -> None:
    assert GERMAN.countries_for(asked) == filtered


@pytest.mark.parametrize("asked", [["US"], ["DE", "US"], ["de"], [""]])
def test_another_country_is_refused_by_name(asked: list[str]) -> None:
    with pytest.raises(ForbiddenError, match=r"^This key sees DE, GB only, not \w*\.$"):
        GERMAN.countries_for(asked)


def test_a_key_for_all_countries_needs_no_filter_but_the_one_asked_for() -> None:
    assert EVERYWHERE.countries_for([]) == []
    assert EVERYWHERE.countries_for(["US", "BR"]) == ["BR", "US"]
    EVERYWHERE.need_all_countries()


def test_no_country_at_all_is_never_taken_for_no_filter() -> None:
    nowhere = Access("k3", "", Role.viewer, frozenset())
    with pytest.raises(ForbiddenError):
        nowhere.countries_for([])


def test_figures_of_all_countries_are_refused_to_a_key_for_some() -> None:
    with pytest.raises(ForbiddenError, match="DE, GB only"):
        GERMAN.need_all_countries()
    assert (GERMAN.sees_country("DE"), GERMAN.sees_country("US"), EVERYWHERE.sees_country("US")) == (True, False, True)


@pytest.mark.parametrize("role", list(Role))
def test_a_role_may_do_what_those_before_it_may(role: Role) -> None:
    access = Access("k", "", role)
    for needed in Role:
        if needed <= role:
            access.need(needed)
        else:
            with pytest.raises(ForbiddenError, match=f"role {needed.name}; yours is {role.name}"):
                access.need(needed)


def test_what_decides_an_answer_is_told_apart_by_its_scope() -> None:
    assert GERMAN.scope == "DE,GB"
    assert EVERYWHERE.scope == "*+personal"


def test_pseudonyms_are_stable_distinct_and_lead_back_only_here() -> None:
    here, elsewhere = Pseudonyms(b"x" * 32), Pseudonyms(b"y" * 32)
    users = [f"u{number:08}" for number in range(200)]
    found = [here.of(user) for user in users]
    assert found == [Pseudonyms(b"x" * 32).of(user) for user in users]
    assert len(set(found)) == len(users)
    assert [here.user_id(one) for one in found] == users
    assert not [one for one, user in zip(found, users, strict=True) if user in one]
    assert all(re.fullmatch(r"p_[A-Za-z0-9_-]{34}", one) for one in found)
    assert not set(found) & {elsewhere.of(user) for user in users}
    for forged in (elsewhere.of("u00000001"), "p_", "p_é", "p_AAAA", found[0][:-2] + "AA", found[0] + "A"):
        with pytest.raises(NotFoundError):
            here.user_id(forged)


def _mask(access: Access) -> tuple[Mask, list[str]]:
    told: list[str] = []
    return Mask(access, Pseudonyms(b"x" * 32), lambda: told.append("unmasked")), told


def test_without_the_grant_personal_fields_are_masked_and_nothing_is_noted() -> None:
    mask, told = _mask(GERMAN)
    assert mask.user_id("u1").startswith("p_")
    assert mask.email("a@shop.example") == HIDDEN
    assert mask.asked(mask.user_id("u1")) == "u1"
    with pytest.raises(ForbiddenError, match="not granted personal data"):
        mask.asked("u1")
    assert (mask.is_open, told) == (False, [])


def test_with_the_grant_they_pass_and_are_noted_once() -> None:
    mask, told = _mask(EVERYWHERE)
    assert (mask.asked("u1"), mask.asked(Pseudonyms(b"x" * 32).of("u1"))) == ("u1", "u1")
    assert told == []
    assert (mask.user_id("u1"), mask.user_id("u2"), mask.email("a@shop.example")) == ("u1", "u2", "a@shop.example")
    assert (mask.is_open, told) == (True, ["unmasked"])


def test_a_route_that_does_not_say_whom_it_is_for_keeps_the_application_from_starting() -> None:
    app, router = FastAPI(docs_url=None, redoc_url=None, openapi_url=None), APIRouter()

    @router.get("/v1/declared", dependencies=[requires(Role.operator)])
    async def one() -> None: ...

    @app.get("/health")
    async def open_() -> None: ...

    app.include_router(router, dependencies=[requires(Role.viewer, all_countries=True)])
    check_declared(app)
    needs = {path: [(need.role, need.all_countries) for need in found] for path, _, found in declared(app)}
    assert needs["/health"] == []
    assert sorted(needs["/v1/declared"]) == [(Role.viewer, True), (Role.operator, False)]

    @app.get("/v1/forgotten")
    async def forgotten() -> None: ...

    with pytest.raises(RuntimeError, match=r"/v1/forgotten$"):
        check_declared(app)
