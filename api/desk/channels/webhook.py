"""Notices as HTTP POST with a JSON body and the header `Idempotency-Key`."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import orjson

from api.desk.channels.base import ChannelDownError, NoticeRefusedError

# Answers about what was sent; all other refusals (a wrong address, a missing right, "too many") are about the channel.
_ABOUT_THE_NOTICE = {400, 413, 422}


class WebhookChannel:
    """One attempt lasts `timeout_seconds` at most as a whole: a server that trickles its answer gains nothing by it."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url = url
        self._timeout = timeout_seconds
        self._runner = asyncio.Runner()
        self._client = httpx.AsyncClient(timeout=timeout_seconds, headers={"User-Agent": "globalmart-desk"})

    def send(self, message: dict[str, Any]) -> None:
        try:
            code = self._runner.run(asyncio.wait_for(self._post(message), self._timeout))
        except TimeoutError:
            raise ChannelDownError(f"the webhook did not answer within {self._timeout:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            # Not the error's own words: they may hold the address, which may hold a secret.
            raise ChannelDownError(f"the webhook cannot be reached ({type(error).__name__})") from None
        if code in _ABOUT_THE_NOTICE:
            raise NoticeRefusedError(f"the webhook answered {code}")
        if not 200 <= code < 300:
            raise ChannelDownError(f"the webhook answered {code}")

    async def _post(self, message: dict[str, Any]) -> int:
        headers = {"Content-Type": "application/json", "Idempotency-Key": str(message["notice_id"])}
        async with self._client.stream("POST", self._url, content=orjson.dumps(message), headers=headers) as answer:
            return answer.status_code

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()
