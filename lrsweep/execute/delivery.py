"""Datasets on their way to the workers of a Dask cluster: uploaded once, and passed on from worker to worker.

All of it runs in the thread of Dask's client.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lrsweep import datasets
from lrsweep.execute.connection import aside
from lrsweep.execute.remote import Delivered, arrived
from lrsweep.execute.training import make_room, read_again
from lrsweep.vocabulary import Say, Stack

if TYPE_CHECKING:
    import distributed

Arriving = dict[str, "asyncio.Future[distributed.Future]"]
"""Datasets by their fingerprints, there or on their way."""


class Delivery:
    """Brings datasets to workers; `uploaded` are those that the cluster has from here."""

    def __init__(self, client: distributed.Client, say: Say) -> None:
        self.client, self.say = client, say
        self.uploaded: Arriving = {}

    async def to(self, address: str, held: Arriving, stack: Stack) -> distributed.Future:
        """A worker's copy of a stack's dataset, among those that it has `held`, brought there if need be."""
        return await once(held, stack.fingerprint, functools.partial(self.bring, address, stack))

    async def bring(self, address: str, stack: Stack) -> distributed.Future:
        """Brings a worker its copy of a dataset, from any other that has it."""
        here: dict[str, Any] = {"workers": [address], "pure": False}
        fingerprint = stack.fingerprint
        raw = await once(self.uploaded, fingerprint, functools.partial(self.upload, address, stack))
        known = self.uploaded.get(fingerprint)
        try:
            delivered = self.client.submit(Delivered, raw, **here)
            await self.client.submit(arrived, delivered, **here)
        except Exception:
            if known and self.uploaded.get(fingerprint) is known:  # who had it last is gone: it is brought anew
                del self.uploaded[fingerprint]
            raise
        return delivered

    async def upload(self, address: str, stack: Stack) -> distributed.Future:
        """Brings a dataset into the cluster, to the first worker that needs it. Raises DataError where it is lost."""
        try:
            raw = datasets.cached(stack.fingerprint)
        except datasets.MissingError:
            reading = aside(functools.partial(read_again, stack, self.say))  # it may take long, and Dask must be heard
            raw = await asyncio.wrap_future(reading)
        raw = replace(raw, x=np.asarray(raw.x), y=np.asarray(raw.y))  # of the file that the arrays are mapped from
        return await self.client.scatter(raw, workers=[address], hash=False)


async def once(known: Arriving, fingerprint: str, bring: Callable[[], Coroutine[Any, Any, distributed.Future]]) -> Any:
    """What is known of a dataset, brought if need be; no more than KEPT are known, the oldest goes.

    Several may wait for it at once, and whoever is cancelled does not cancel it for the others. What failed is known no
    more: who asks next has it brought anew.
    """

    def forget(task: asyncio.Future[distributed.Future]) -> None:
        if (task.cancelled() or task.exception()) and known.get(fingerprint) is task:
            del known[fingerprint]

    if fingerprint not in known:
        make_room(known)
        known[fingerprint] = asyncio.ensure_future(bring())
        known[fingerprint].add_done_callback(forget)
    return await asyncio.shield(known[fingerprint])
