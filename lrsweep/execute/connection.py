"""The way to a Dask scheduler: an address that can be one, one that answers, and nothing that waits for ever."""

from __future__ import annotations

import contextlib
import functools
import logging
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

from lrsweep.vocabulary import Say, UsageError, silent

if TYPE_CHECKING:
    import distributed

ANSWER_SECONDS = 5
"""How long a scheduler, or a worker at the beginning, may take to answer before a line tells of it."""

START_SECONDS = 25
"""So much longer a scheduler may take that was started just now, as in a batch job of Slurm."""

SPARE_SECONDS = 1
"""Beyond its own limit, which Dask does not mind when a scheduler is frozen."""

PORTS = 2**16

ENCRYPTED = ("tls", "wss")

MISSING = "--cluster trains on Dask, which is not installed; pip install 'lrsweep[dask]', or '.[dask]' in a clone"

NO_TLS = (
    "has no TLS settings; set distributed.comm.tls.ca-file, .client.cert and .client.key in ~/.config/dask/*.yaml, "
    "or DASK_DISTRIBUTED__COMM__TLS__CA_FILE, …__CLIENT__CERT and …__CLIENT__KEY"
)

Found = TypeVar("Found")


class Silent(UsageError):
    """No scheduler answers at an address, which one that starts just now may do yet."""


@contextlib.contextmanager
def connected(address: str, say: Say = silent) -> Iterator[distributed.Client]:
    """A client of the cluster at an address. Raises UsageError where there is none."""
    check_address(address)
    with quiet():
        client = reached(address, say)
        try:
            yield client
        finally:
            with contextlib.suppress(TimeoutError):
                client.close(timeout=ANSWER_SECONDS)
            client.status = "closed"  # else it would close itself once more at the end, and wait for nobody


def check_address(address: str) -> None:
    """Raises UsageError for what can be no scheduler's address, which Dask would end in a traceback for."""
    try:
        from distributed import Security
        from distributed.comm import parse_host_port
        from distributed.comm.registry import get_backend
    except ImportError as error:
        raise UsageError(MISSING) from error
    scheme, separator, place = address.partition("://")
    try:
        get_backend(scheme)
        host, port = parse_host_port(place)
    except ValueError:
        host, port = "", 0
    if not (separator and host and 0 < port < PORTS):
        raise UsageError(f"--cluster {address!r} is no address; write it like tcp://host:8786")
    if scheme in ENCRYPTED:
        try:
            settings = Security().get_connection_args("client")["ssl_context"]
        except (OSError, ValueError) as error:
            raise UsageError(f"--cluster {address}: the TLS settings cannot be used ({error}); mend them") from error
        if settings is None:
            raise UsageError(f"--cluster {address} {NO_TLS}")


def reached(address: str, say: Say) -> distributed.Client:
    """A client of the scheduler at an address, which may have been started at the same moment."""
    with contextlib.suppress(Silent):
        return attempted(address, ANSWER_SECONDS)
    say(f"no scheduler answers at {address} yet; waiting {START_SECONDS} s more for one")
    return attempted(address, START_SECONDS)


def attempted(address: str, seconds: float) -> distributed.Client:
    """A client of the scheduler at an address, if one answers in time."""
    from distributed import Client

    start = time.monotonic()
    client = Client.__new__(Client)  # apart from its beginning, which may hang: its status can be set even then
    begin = functools.partial(client.__init__, address, timeout=seconds, set_as_default=False)
    try:
        within(seconds + SPARE_SECONDS, begin)
    except BaseException as error:
        client.status = "closed"  # else it would close itself by and by, wait 10 s for nobody, and end in a traceback
        if not isinstance(error, Exception):
            raise
        kind = UsageError if time.monotonic() < start + seconds else Silent  # Dask tries again what may yet become
        raise kind(f"--cluster {address}: {why_unreached(error, address)}") from error
    return client


def why_unreached(error: BaseException, address: str) -> str:
    """Why no scheduler is reached, by the error that all began with, and what to do."""
    while not isinstance(error, TimeoutError) and (first := error.__cause__ or error.__context__):
        error = first
    scheme, _, place = address.partition("://")
    mend = "mend the address" + (", or Dask's TLS settings" if scheme in ENCRYPTED else "")
    match error:
        case ConnectionRefusedError():
            return "nothing listens there; start a scheduler with `dask scheduler`, or mend the address"
        case socket.gaierror():
            return f"the host {place.rpartition(':')[0]} is not found ({error.strerror}); mend the address"
        case TimeoutError():
            return "no scheduler answers there; start one with `dask scheduler`, or mend the address"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not accepted ({error.verify_message}); mend Dask's TLS settings"
        case ssl.SSLError():
            return f"TLS fails there ({error.strerror}); {mend}"
        case ConnectionError():
            return f"what listens there hangs up; {mend}{'' if scheme in ENCRYPTED else ': tls:// where it speaks TLS'}"
        case OSError(strerror=str(told)):
            return f"it cannot be reached ({told}); mend the address or the network"
    return f"what answers there is no scheduler ({type(error).__name__}); {mend}"


def within(seconds: float | None, ask: Callable[[], Found]) -> Found:
    """The answer to a question, which Dask would wait for without an end. Raises TimeoutError."""
    return aside(ask).result(seconds)


def aside(ask: Callable[[], Found]) -> Future[Found]:
    """The answer to come, from a thread of its own that nobody waits for at the end of the process."""
    answer: Future[Found] = Future()
    answer.set_running_or_notify_cancel()  # else whoever leaves could cancel it, and the thread not hand it in

    def answered() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=answered, daemon=True).start()
    return answer


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps Dask for a while from telling with tracebacks and tables what is told here in words."""
    from distributed.versions import VersionMismatchWarning

    names = ["distributed", *(name for name in logging.root.manager.loggerDict if name.startswith("distributed."))]
    levels = {logger: logger.level for logger in map(logging.getLogger, names) if logger.level}
    for logger in levels:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VersionMismatchWarning)
            yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
