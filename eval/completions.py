"""Requests to the completions of an OpenAI-compatible endpoint, with the standard library alone."""

import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from stage.errors import JgptError, UsageError

TIMEOUT = 120.0
"""Seconds without a byte after which a connection counts as dead."""

ATTEMPTS = 6
"""How often a request is sent to a server that is busy."""

_BUSY = (429, 500, 502, 503, 504)


class TooLong(JgptError):
    """The server says that a prompt does not fit into the context of its model."""


class NotThere(JgptError):
    """The server knows no such path or model."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another place."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Completions:
    """An endpoint by its address. The key, if any, is that of the environment variable OPENAI_API_KEY."""

    def __init__(self, url: str) -> None:
        try:
            parts = urllib.parse.urlsplit(url)
            valid = bool(parts.hostname) and (parts.port or True)
        except ValueError:
            valid = False
        if not valid:
            raise UsageError(f"--model {url}: is no address; give http://HOST:PORT/v1")
        if parts.username or parts.password or parts.query:
            raise UsageError("--model: give the address without a key; that is read from OPENAI_API_KEY")
        self.url = url.rstrip("/").removesuffix("/completions")
        self._key = os.environ.get("OPENAI_API_KEY", "").strip()
        self._opener = urllib.request.build_opener(_NoRedirect)

    def models(self) -> list[dict[str, Any]]:
        """What the server says about its models; nothing where it says nothing."""
        found = self._send("/models", None)
        data = found.get("data")
        return [each for each in data if isinstance(each, dict)] if isinstance(data, list) else []

    def complete(self, **fields: Any) -> dict[str, Any]:
        """The first choice of an answer. Raises TooLong, and JgptError with the mend for all else that goes wrong."""
        answer = self._send("/completions", fields)
        try:
            choice = answer["choices"][0]
            if isinstance(choice["text"], str):
                return dict(choice)
        except (KeyError, IndexError, TypeError):
            pass
        raise JgptError(
            f"{self.url}: its answer to /completions has no choices with a text; is it an OpenAI-compatible server?"
        )

    def _send(self, path: str, fields: dict[str, Any] | None) -> dict[str, Any]:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._send_once(path, fields)
            except urllib.error.HTTPError as error:
                with error:
                    told = _told(error)
                    if error.code not in _BUSY or attempt == ATTEMPTS or _is_about_length(told):
                        raise self._explained(error.code, told, path, fields) from None
                    wait = _seconds(error.headers.get("Retry-After"), 2.0**attempt / 2)
            except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
                reason = getattr(error, "reason", None) or error
                if isinstance(reason, ConnectionRefusedError):
                    raise JgptError(
                        f"{self.url}: nothing answers there; start the server, or mend the address"
                    ) from None
                if attempt == ATTEMPTS or (
                    isinstance(error, urllib.error.URLError) and not isinstance(reason, OSError)
                ):
                    raise JgptError(f"{self.url}: cannot be reached ({reason or type(reason).__name__})") from None
                wait = 2.0**attempt / 2
            time.sleep(wait)
        raise AssertionError("unreachable")

    def _send_once(self, path: str, fields: dict[str, Any] | None) -> dict[str, Any]:
        headers = {"Accept": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        body = None
        if fields is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(fields).encode()
        request = urllib.request.Request(self.url + path, body, headers)
        with self._opener.open(request, timeout=TIMEOUT) as response:
            content = response.read()
        try:
            found = json.loads(content)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            begin = content[:40].decode("utf-8", "replace").split("\n")[0]
            raise JgptError(f"{self.url}{path}: answers with {begin!r} and not JSON; the address usually ends with /v1")
        return found

    def _explained(self, code: int, told: str, path: str, fields: dict[str, Any] | None) -> JgptError:
        if code in (401, 403):  # what such a server says may hold a part of the key
            mend = "is not one that it takes" if self._key else "is not set"
            return JgptError(f"{self.url}: refuses access ({code}); the environment variable OPENAI_API_KEY {mend}")
        if code in (400, 413, 422, 500) and _is_about_length(told):
            return TooLong(f"{self.url}: a prompt is too long for its model, give fewer --shots ({told})")
        if code in (404, 405):
            name = f" or no model {fields['model']!r}" if fields else ""
            return NotThere(f"{self.url}: has no {path}{name} ({told}); mend the address or --endpoint_model NAME")
        if code in _BUSY:
            return JgptError(
                f"{self.url}: is still busy or broken after {ATTEMPTS} attempts ({code}: {told}); try later, or a lower --endpoint_parallel"
            )
        return JgptError(f"{self.url}: answers {path} with {code} ({told})")


def _told(error: urllib.error.HTTPError) -> str:
    """One line of what an error's body says."""
    try:
        content = error.read(20_000).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        content = ""
    try:
        record = json.loads(content)
        inner = record.get("error", record) if isinstance(record, dict) else record
        content = str(inner.get("message") or inner.get("detail") or inner) if isinstance(inner, dict) else str(inner)
    except ValueError:
        pass
    return " ".join(content.split())[:200] or str(error.reason)


def _is_about_length(told: str) -> bool:
    words = told.lower()
    return "context" in words and any(word in words for word in ("length", "maximum", "exceed", "window", "size"))


def _seconds(header: str | None, otherwise: float) -> float:
    """What ``Retry-After`` asks for, at most a minute; it may also be a date, which is not read."""
    try:
        return min(max(float(header or ""), 0.0), 60.0)
    except ValueError:
        return otherwise
