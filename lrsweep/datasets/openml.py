"""OpenML: all that lrsweep itself fetches from the network. What is fetched has limits of time and of size."""

from __future__ import annotations

import io
import re
import time
import urllib.request
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http.client import HTTPException, HTTPResponse
from urllib.response import addinfourl

from lrsweep import room
from lrsweep.datasets.tables import Table, from_frame
from lrsweep.vocabulary import DataError

SILENCE, LONGEST = 30.0, 1800.0
"""Seconds that a server may say nothing, and that all of its answers may take."""

PARSED = 8
"""Bytes of memory that a byte of an answer is thought to take once it is a table."""

CHUNK = 1 << 20

WEB = (
    *(urllib.request.ProxyHandler, urllib.request.HTTPHandler, urllib.request.HTTPSHandler),
    *(urllib.request.HTTPDefaultErrorHandler, urllib.request.HTTPErrorProcessor),
    *(urllib.request.HTTPRedirectHandler, urllib.request.UnknownHandler),
)
"""What urllib's own opener has, but for addresses that are files of this machine."""


def read_openml(location: str) -> Table:
    """A dataset of OpenML by scikit-learn's reader, which checks what it got against OpenML's checksum."""
    match = re.fullmatch(r"openml:([\w.()+-]+)(?:@(\d+))?", location)
    if not match:
        raise DataError("must be openml:NAME or openml:NAME@VERSION, VERSION a whole number")
    from sklearn.datasets import fetch_openml  # 2 s that a wrong name need not wait

    version = int(match[2]) if match[2] else "active"
    try:
        with warnings.catch_warnings(), limited(LONGEST):
            warnings.simplefilter("ignore")  # each retry warns, and so does each older version
            bunch = fetch_openml(match[1], version=version, as_frame=True, cache=False, n_retries=1)
    except (OSError, HTTPException) as error:
        raise DataError(
            f"openml.org gave no data ({error}); "
            "go online once (the data is then cached), or give a file: {file: PATH, target: COLUMN}"
        ) from error
    except Exception as error:  # of what is no dataset, scikit-learn raises nearly anything
        said = " ".join(str(error).split())[:300] or type(error).__name__
        raise DataError(f"OpenML cannot provide it ({said}); look its name up on openml.org") from error
    if len(bunch.target_names) != 1:
        raise DataError(f"has {len(bunch.target_names)} targets and needs one; download it and name its target")
    return from_frame(bunch.frame, bunch.target_names[0])


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Whatever is fetched within comes whole, in time and no larger than there is room for, or raises OSError.

    scikit-learn asks by `urlopen`, with no limits; urllib lets an opener stand in for its own.
    """
    own = getattr(urllib.request, "_opener", None)
    opener = urllib.request.OpenerDirector()
    for handler in (*(kind() for kind in WEB), Limits(time.monotonic() + seconds)):
        opener.add_handler(handler)
    urllib.request.install_opener(opener)
    try:
        yield
    finally:
        urllib.request.install_opener(own)


class Limits(urllib.request.BaseHandler):
    """Reads every answer at once, within the limits, and hands it on as if it had come unpacked."""

    handler_order = 900
    """Before what makes errors of answers, at 1000: nothing stays open then."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline

    def http_request(self, request: urllib.request.Request) -> urllib.request.Request:
        """Lets no server be silent for long."""
        self.check(0)
        request.timeout = SILENCE
        return request

    def http_response(self, request: urllib.request.Request, response: HTTPResponse) -> addinfourl:
        """The whole of an answer."""
        with response:
            body = b"".join(self.parts(response))
        headers = Message()
        for name, value in response.headers.items():
            if name.lower() != "content-encoding":
                headers[name] = value
        answer = addinfourl(io.BytesIO(body), headers, request.full_url, response.status)
        answer.msg = response.reason  # type: ignore[attr-defined]  # urllib wants it so of any answer
        return answer

    def parts(self, response: HTTPResponse) -> Iterator[bytes]:
        """What an answer holds, unpacked."""
        packed = response.headers.get("Content-Encoding") == "gzip"
        unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS) if packed else None
        size = 0
        while arrived := response.read1(CHUNK):
            while arrived:
                part = unpacker.decompress(arrived, CHUNK) if unpacker else arrived
                arrived = unpacker.unconsumed_tail if unpacker else b""
                size += len(part)
                self.check(size)
                yield part
        if response.length or (unpacker and not unpacker.eof):
            raise OSError("the answer is cut off")

    def check(self, size: int) -> None:
        """Raises OSError where an answer has grown too large, or takes too long."""
        if said := room.over_half_of_memory("its answer needs", PARSED * size):
            raise OSError(said)
        if time.monotonic() > self.deadline:
            raise OSError("it takes too long")

    https_request, https_response = http_request, http_response
