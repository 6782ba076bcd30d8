"""OpenML through scikit-learn's own reader, and a server that does what it should not."""

from __future__ import annotations

import contextlib
import functools
import gzip
import hashlib
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lrsweep import room
from lrsweep.datasets import load, openml
from lrsweep.vocabulary import DataError, Source


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of the test's own."""
    monkeypatch.setenv("LRSWEEP_CACHE", str(tmp_path / "cache"))


ARFF = b"@RELATION tiny\n@ATTRIBUTE weight NUMERIC\n@ATTRIBUTE class {x, y}\n@DATA\n" + b"1.5,x\n2.5,y\n" * 10
FEATURE = {"is_ignore": "false", "is_row_identifier": "false", "number_of_missing_values": "0"}
ANSWERS: dict[str, Any] = {
    "/list": {"data": {"dataset": [{"did": 1, "version": 1, "status": "active"}]}},
    "/about": {
        "description": "",
        "status": "active",
        "version": 1,
        "format": "ARFF",
        "md5_checksum": hashlib.md5(ARFF, usedforsecurity=False).hexdigest(),
    },
    "/features": [
        {"name": "weight", "data_type": "numeric", "is_target": "false", **FEATURE},
        {"name": "class", "data_type": "nominal", "is_target": "true", "nominal_value": ["x", "y"], **FEATURE},
    ],
    "/qualities": [{"name": "NumberOfInstances", "value": "20"}],
}


class Server(ThreadingHTTPServer):
    """Answers like openml.org; `spoil` is what it does to the answer at a path."""

    daemon_threads = True
    spoil: Mapping[str, Callable[[BaseHTTPRequestHandler, bytes], None]]

    def answer(self, path: str) -> bytes:
        """The right answer."""
        if path == "/data":
            return ARFF
        found = ANSWERS[path]
        if path == "/about":
            found = {"data_set_description": found | {"url": f"http://127.0.0.1:{self.server_port}/data"}}
        elif path == "/features":
            found = {"data_features": {"feature": found}}
        elif path == "/qualities":
            found = {"data_qualities": {"quality": found}}
        return json.dumps(found).encode()


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: Server

    def do_GET(self) -> None:
        path = "/" + self.path.split("/")[1].split("?")[0]
        self.server.spoil.get(path, send)(self, self.server.answer(path))

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def send(handler: BaseHTTPRequestHandler, body: bytes, length: int | None = None, **headers: str) -> None:
    """Sends an answer, whose length may be a lie."""
    handler.send_response(200)
    for name, value in {"Content-Length": str(length or len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    with contextlib.suppress(OSError):  # who does not want all of it has left
        handler.wfile.write(body)


def drip(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    """Sends a byte now and then: never silent for long, and never done."""
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(OSError):
        for i in range(100):
            handler.wfile.write(body[i : i + 1])
            time.sleep(0.05)


def packed(handler: BaseHTTPRequestHandler, body: bytes, cut: int = 0) -> None:
    """Sends an answer as gzip, of which the end may be missing."""
    content = gzip.compress(body)
    send(handler, content[: len(content) - cut], Content_Encoding="gzip")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server on this machine in the place of openml.org."""
    found = Server(("127.0.0.1", 0), Handler)
    found.spoil = {}
    threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True).start()
    names = {
        "_SEARCH_NAME": "list",
        "_DATA_INFO": "about",
        "_DATA_FEATURES": "features",
        "_DATA_QUALITIES": "qualities",
    }
    for name, path in names.items():
        monkeypatch.setattr(f"sklearn.datasets._openml.{name}", f"http://127.0.0.1:{found.server_port}/{path}/{{}}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield found
    found.shutdown()
    found.server_close()


@pytest.mark.parametrize("way", [send, packed])
def test_openml_is_read_and_cached(server: Server, way: Callable[[BaseHTTPRequestHandler, bytes], None]) -> None:
    server.spoil = dict.fromkeys(("/list", "/about", "/data"), way)
    raw = load(Source("name", "openml:tiny"))
    assert (raw.x.ravel().tolist(), raw.classes) == ([1.5, 2.5] * 10, ("x", "y"))
    server.shutdown()
    assert load(Source("name", "openml:tiny")).fingerprint == raw.fingerprint


SPOILED: dict[str, tuple[str, Callable[[BaseHTTPRequestHandler, bytes], object], str]] = {
    "a web page": ("/list", lambda to, _: send(to, b"<html>log in</html>"), "OpenML cannot provide it"),
    "JSON of another kind": ("/about", lambda to, _: send(to, b"[1]"), "OpenML cannot provide it"),
    "not UTF-8": ("/list", lambda to, _: send(to, b"\xff\xfe"), "OpenML cannot provide it"),
    "nothing": ("/list", lambda to, _: send(to, b""), "OpenML cannot provide it"),
    "another file": ("/data", lambda to, body: send(to, body.replace(b"1.5", b"9.5")), "checksum"),
    "half of it": ("/data", lambda to, body: send(to, body[:50], len(body)), "gave no data .the answer is cut off"),
    "half of it, packed": ("/data", functools.partial(packed, cut=12), "gave no data .the answer is cut off"),
    "an error": ("/data", lambda to, _: to.send_error(500), "gave no data .HTTP Error 500"),
    "20 MB in 20 kB": (
        "/data",
        lambda to, _: packed(to, bytes(20_000_000)),
        "its answer needs about 1.. MB, over half",
    ),
    "a file of this machine": (
        "/about",
        lambda to, body: send(to, body.replace(b"http://127.0.0.1", b"file:///etc/passwd?")),
        "gave no data .<urlopen error unknown url type: file>",
    ),
    "silence": ("/list", lambda *_: time.sleep(1), "gave no data .*timed out"),
    "a byte now and then": ("/list", drip, "gave no data .it takes too long"),
    "nobody": ("/list", lambda to, _: to.connection.close(), "openml.org gave no data"),
}
"""Where the server does what, and what is said of it."""


@pytest.mark.parametrize(("path", "way", "words"), SPOILED.values(), ids=[*SPOILED])
def test_openml_that_answers_badly_is_told_and_never_waited_for(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    way: Callable[[BaseHTTPRequestHandler, bytes], None],
    words: str,
) -> None:
    monkeypatch.setattr(openml, "SILENCE", 0.3 if "timed out" in words else 60)
    monkeypatch.setattr(openml, "LONGEST", 0.5 if way is drip else 60)
    monkeypatch.setattr(room, "memory", lambda: 300_000_000)
    server.spoil = {path: way}
    with pytest.raises(DataError, match=words) as caught:
        load(Source("name", "openml:tiny"))
    assert ";" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_the_caller_fetches_is_left_alone(server: Server) -> None:
    before = getattr(urllib.request, "_opener", None)
    load(Source("name", "openml:tiny"))
    assert getattr(urllib.request, "_opener", None) is before
