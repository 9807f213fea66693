"""What routes ask for, named once: the generation that a request reads from, and the settings."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from api.serving import Generation, Serving
from lakehouse.settings import Settings


def _serving(request: Request) -> Serving:
    serving: Serving = request.app.state.serving
    return serving


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


ServingDep = Annotated[Serving, Depends(_serving)]
SettingsDep = Annotated[Settings, Depends(_settings)]


def _generation(serving: ServingDep) -> Generation:
    return serving.current()


GenerationDep = Annotated[Generation, Depends(_generation)]
