"""The workers of a Dask cluster, whose scheduler and workers are the user's own: stacks go there, outcomes come back.

Which worker has which stack is decided here, as for workers of our own, and not by Dask: it would hand what killed one
worker to three more. A stack is put at its worker as data, and the task that trains it rests on that. If the worker
dies, the data is gone with it, so Dask cancels the task, which is how its death is heard of, and tries it nowhere else.
All that is put into the cluster belongs to this process's client: the scheduler drops it when that is gone.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections import deque
from collections.abc import Callable, Container, Coroutine, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from lrsweep.execute.connection import ANSWER_SECONDS, within
from lrsweep.execute.delivery import Arriving, Delivery
from lrsweep.execute.remote import Unwanted, executing, inventory, train_there
from lrsweep.execute.training import AGAIN, Stream, left, singles, unfinished
from lrsweep.vocabulary import CRASHED, LrsweepError, Outcome, Say, Stack, UsageError

if TYPE_CHECKING:
    import distributed

SILENCE_SECONDS = 30
"""How long a scheduler may take to answer, which one at its limit may need."""

ABSENCE_SECONDS = 3
"""How long there may be no worker before a line tells of it; a nanny starts the next one sooner."""

LOOK_SECONDS = 1.0
"""Between two looks at who is there; that a worker with a stack in hand died is heard of at once."""

MOST_FAILURES = 3
"""So many times in a row data may fail to reach a worker that lives."""

QUEUED = 1
"""Stacks that wait at a worker beside those that it trains, so that it has the next at once."""

GUILTY = (
    "its worker ended, and another before; they may have run out of memory or been killed: lower width or batch_size; "
    f"{AGAIN}"
)

Found = TypeVar("Found")


@dataclass(eq=False)
class Errand:
    """A stack on its way; `task` is its name in Dask as soon as a worker may have begun it."""

    stack: Stack
    attempt: int = 1
    task: str = ""


@dataclass(eq=False)
class Worker:
    """A worker, how many stacks it trains at a time, those that it has in hand, and the data that it holds.

    One that is paused is asked which of them it has `begun`, as tasks of Dask.
    """

    address: str
    threads: int
    hands: dict[Future[list[Outcome]], Errand] = field(default_factory=dict)
    data: Arriving = field(default_factory=dict)
    failures: set[BaseException | None] = field(default_factory=set)
    paused: bool = False
    begun: Future[set[str] | Exception] | None = None

    def has_room(self, errand: Errand) -> bool:
        """Whether one more stack may be sent here.

        At a first attempt a worker has a stack for each thread and QUEUED more, at a second, after a worker died with
        it, one for each thread, from the third on that stack alone: what kills a worker alone is the guilty run.
        One that is paused would begin nothing.
        """
        attempt = max([errand.attempt, *(other.attempt for other in self.hands.values())])
        most = {1: self.threads + QUEUED, 2: self.threads}.get(attempt, 1)
        return not self.paused and len(self.hands) < most

    def forget_answer(self) -> None:
        """Waits no more to be told what it has begun."""
        if self.begun is not None:
            self.begun.cancel()
        self.begun = None


class Cluster:
    """Workers of a cluster that are given stacks; a dead one costs its stacks a retry, run by run."""

    def __init__(
        self,
        client: distributed.Client,
        deadline: float | None,
        meanwhile: Callable[[], object] | None,
        say: Say,
    ) -> None:
        self.client, self.deadline, self.meanwhile, self.say = client, deadline, meanwhile, say
        self.address = client.scheduler.address
        self.workers: dict[str, Worker] = {}
        self.waiting: deque[Errand] = deque()
        self.delivery = Delivery(client, say)
        self.threads: dict[str, int] = {}
        self.asked: dict[str, Future[dict[str, str] | Exception]] = {}
        self.refused: set[str] = set()
        self.retired: set[str] = set()
        self.followed: set[str] = set()
        self.begun, self.due = False, 0.0
        self.check_scheduler()
        self.look_round()
        self.await_answers()

    # Who is there.

    def check_scheduler(self) -> None:
        """Raises UsageError where the scheduler cannot load what it is to hand on."""
        try:
            within(SILENCE_SECONDS, lambda: self.client.run_on_scheduler(inventory))
        except OSError as error:
            raise self.lost(error) from error
        except Exception as error:
            raise UsageError(
                f"the scheduler {self.address} cannot load lrsweep ({type(error).__name__}: {error}); "
                "install the same in its environment as here"
            ) from error

    def follow(self, address: str) -> None:
        """Has the scheduler tell what becomes of a worker; one that left may have had the same address."""
        self.retired.discard(address)
        self.followed.add(address)
        self.client.subscribe_topic(address, functools.partial(self.note, address))

    def note(self, address: str, event: tuple[float, Any]) -> None:
        """Notes that a worker leaves in order, as at the end of a batch job: no run is guilty of that.

        It is closing, since it is retired or its nanny got SIGTERM, or the scheduler expected that it would be gone.
        """
        about = event[1] if isinstance(event[1], dict) else {}
        if about.get("expected") or str(about.get("status")).startswith("closing"):
            self.retired.add(address)
        elif about.get("status") == "running":  # it could not be retired
            self.retired.discard(address)

    def look_round(self) -> list[Outcome]:
        """Takes note of who came and who went, and returns the outcomes of runs that crashed with those who went."""
        self.hear_newcomers()
        if time.monotonic() < self.due:
            return []
        self.due = time.monotonic() + LOOK_SECONDS
        self.check_connection()
        seconds = left(self.deadline)
        try:
            patience = SILENCE_SECONDS if seconds is None else min(seconds, SILENCE_SECONDS)
            self.threads, running = within(patience, self.threads_and_running)
        except (OSError, CancelledError) as error:
            if left(self.deadline) == 0:
                return []
            raise self.lost(error) from error
        self.refused &= self.threads.keys()
        for address in self.threads.keys() - self.workers.keys() - self.refused - self.asked.keys():
            self.follow(address)
            self.asked[address] = self.start(self.ask(address, inventory))
        gone = [worker for address, worker in self.workers.items() if address not in self.threads]
        for address in self.workers.keys() & self.threads.keys() - self.retired:
            self.relieve(self.workers[address], address not in running)
        return [outcome for worker in gone for outcome in self.bury(worker)]

    def threads_and_running(self) -> tuple[dict[str, int], Container[str]]:
        """The workers' threads, and which of them begin what they are given."""
        return self.client.nthreads(), self.client.sync(self.client.scheduler.ncores_running)

    def relieve(self, worker: Worker, paused: bool) -> None:
        """Takes from a worker that Dask has paused, for want of memory, what it has not begun: others may have it.

        It gets no more from now on, and nobody waits for it to tell what it has begun: one that swaps is slow.
        """
        if paused and not worker.paused:
            self.say(f"worker {worker.address} is paused, its memory being nearly full; it gets stacks when it goes on")
        worker.paused = paused
        if not paused:
            worker.forget_answer()
        elif worker.begun is None:
            worker.begun = self.start(self.ask(worker.address, executing))
        elif worker.begun.done():
            self.take_back(worker, self.answer(worker.begun))

    def take_back(self, worker: Worker, begun: set[str] | Exception) -> None:
        """Takes from a paused worker what it has not begun, or has it asked again where it did not tell."""
        if isinstance(begun, Exception):
            worker.begun = None
            return
        for future, errand in reversed([*worker.hands.items()]):
            if errand.task not in begun and future.cancel():  # what has ended cannot be
                self.waiting.appendleft(replace(worker.hands.pop(future), task=""))

    def hear_newcomers(self) -> None:
        """Lets those take part who have answered. Nobody waits for one that is frozen: it may answer when it is not."""
        for address in self.asked.keys() - self.threads.keys():
            self.asked.pop(address).cancel()
        for address in [address for address, future in self.asked.items() if future.done()]:
            found = self.answer(self.asked.pop(address))
            if not isinstance(found, OSError):  # else it has left by now, or answers next time
                self.admit(address, self.threads[address], found)

    def answer(self, told: Future[Found]) -> Found:
        """What a worker told that was asked. Raises LrsweepError where the scheduler, which asks it, is gone."""
        try:
            return told.result()
        except (OSError, CancelledError) as error:
            raise self.lost(error) from error

    def await_answers(self) -> None:
        """Waits for those who are there from the beginning, but not for long."""
        seconds = left(self.deadline)
        wait(self.asked.values(), ANSWER_SECONDS if seconds is None else min(seconds, ANSWER_SECONDS))
        self.hear_newcomers()
        for address in self.asked:
            self.say(f"worker {address} does not answer; it takes part as soon as it does")

    def admit(self, address: str, threads: int, found: dict[str, str] | Exception) -> None:
        """Lets a worker take part if it has what this process has; raises UsageError until the first has a stack."""
        if wrong := mismatch(found):
            line = f"worker {address} {wrong}; install the same in its environment as here"
            if not self.begun:
                raise UsageError(line)
            self.say(f"left out: {line}")
            self.refused.add(address)
        else:
            self.workers[address] = Worker(address, threads)

    def size(self) -> int:
        """How many stacks are trained at a time; waits for a worker if there is none."""
        self.await_worker()
        return max(1, sum(worker.threads for worker in self.workers.values()))

    def await_worker(self) -> None:
        """Waits until there is a worker that is not paused, or for the deadline."""
        since: float | None = time.monotonic()
        while all(worker.paused for worker in self.workers.values()) and left(self.deadline) != 0:
            if since is not None and time.monotonic() >= since + ABSENCE_SECONDS:
                kind = " that is not paused" if self.workers else " that answers" if self.asked else ""
                self.say(f"{self.address} has no worker{kind}; waiting for one")
                since = None
            time.sleep(0.1)
            self.look_round()

    def check_connection(self) -> None:
        """Raises LrsweepError where the scheduler is gone."""
        if self.client.status != "running":
            raise self.lost()

    def lost(self, error: BaseException | None = None) -> LrsweepError:
        """The error for a scheduler that no longer answers."""
        how = "does not answer" if isinstance(error, TimeoutError) else "is gone"
        return LrsweepError(f"the scheduler {self.address} {how}; finished runs are kept; the same command goes on")

    def unable(self, worker: Worker, error: BaseException | None) -> LrsweepError:
        """The error for a worker that is alive and cannot train."""
        told = f"{type(error).__name__}: {error}"
        return LrsweepError(f"worker {worker.address} cannot train ({told}); finished runs are kept; mend or stop it")

    # What they do.

    def train(self, stacks: Sequence[Stack]) -> Stream:
        """Each stack's outcomes as they come, until the deadline; what is left before its end is cancelled."""
        self.drop()
        waiting = self.waiting = deque(map(Errand, stacks))
        try:
            yield from self.outcomes()
        finally:
            if self.waiting is waiting:
                self.drop()

    def drop(self) -> None:
        """Cancels what nobody waits for any more."""
        self.waiting.clear()
        for worker in self.workers.values():
            for future in worker.hands:
                future.cancel()
            worker.hands.clear()

    def close(self) -> None:
        """Cancels all, and hears of the cluster no more."""
        self.drop()
        for future in self.asked.values():
            future.cancel()
        for worker in self.workers.values():
            worker.forget_answer()
        if self.client.status == "running":  # else the scheduler would complain of an event that nobody takes
            for address in self.followed:
                self.client.unsubscribe_topic(address)

    def outcomes(self) -> Stream:
        """Each waiting stack's outcomes as they come, until the deadline."""
        while left(self.deadline) != 0 and (self.waiting or self.busy()):
            if outcomes := self.look_round():
                yield outcomes
            self.employ()
            busy = self.busy()
            if not busy:
                self.await_worker()
                continue
            if self.meanwhile is not None:
                self.meanwhile()
                self.meanwhile = None
            seconds = left(self.deadline)
            known: list[Future[Any]] = [*busy, *self.asked.values()]
            done, _ = wait(known, LOOK_SECONDS if seconds is None else min(seconds, LOOK_SECONDS), FIRST_COMPLETED)
            for future in sorted(done & busy.keys(), key=failed):  # what a worker did before it died counts
                if outcomes := self.hear(busy[future], future):
                    yield outcomes

    def busy(self) -> dict[Future[list[Outcome]], Worker]:
        """Who has what in hand."""
        return {future: worker for worker in self.workers.values() for future in worker.hands}

    def employ(self) -> None:
        """Hands out what waits, in order, to those who have least in hand, as long as they have room."""
        while self.waiting and self.workers:
            errand = self.waiting[0]
            free = [worker for worker in self.workers.values() if worker.has_room(errand)]
            if not free:
                return
            worker = min(free, key=lambda worker: len(worker.hands) / worker.threads)
            self.begun = True
            worker.hands[self.start(self.deal(worker, errand))] = self.waiting.popleft()

    def hear(self, worker: Worker, future: Future[list[Outcome]]) -> list[Outcome]:
        """A stack's outcomes; or, where its worker died, what that means for all that it had in hand."""
        from distributed.scheduler import KilledWorker

        if future not in worker.hands:  # it was buried just now
            return []
        try:
            outcomes = future.result()
            del worker.hands[future]
            worker.failures.clear()
        except (CancelledError, Unwanted, KilledWorker) as error:
            self.check_connection()
            if isinstance(error, Unwanted):  # it is closing, which its runs have no part in
                self.retired.add(worker.address)
            outcomes = self.bury(worker)
        except Undelivered as error:
            self.check_connection()
            worker.failures.add(error.__cause__)
            if len(worker.failures) > MOST_FAILURES:  # several errands wait for one delivery
                raise self.unable(worker, error.__cause__) from error
            self.waiting.appendleft(worker.hands.pop(future))
            outcomes, self.due = [], 0.0
        except LrsweepError:  # the data is lost
            raise
        except Exception as error:
            raise self.unable(worker, error) from error
        self.employ()
        return outcomes

    def bury(self, worker: Worker) -> list[Outcome]:
        """A worker is gone: its runs are tried again, one by one, and one that dies alone and again is the guilty one.

        Those that it had not begun, or of one that left in order, are tried as they were.
        """
        del self.workers[worker.address]
        worker.forget_answer()
        for future in worker.hands:
            future.cancel()
        errands = [*worker.hands.values()]
        worker.hands.clear()
        suspects = [] if worker.address in self.retired else [errand for errand in errands if errand.task]
        guilty = [errand for errand in suspects if len(suspects) == len(errand.stack.runs) == 1 < errand.attempt]
        again = [Errand(part, one.attempt + 1) for one in suspects if one not in guilty for part in singles(one.stack)]
        innocent = [replace(errand, task="") for errand in errands if errand not in suspects]
        self.waiting.extendleft(reversed(again + innocent))
        if runs := sum(len(errand.stack.runs) for errand in again + innocent):
            self.say(f"worker {worker.address} is gone; runs that it had in hand are tried again: {runs:,}")
        for errand in guilty:
            self.say(f"worker {worker.address} is gone; the run that it trained is crashed: {errand.stack.ids[0]}")
        return [unfinished(errand.stack, CRASHED, GUILTY) for errand in guilty]

    def start(self, work: Coroutine[Any, Any, Found]) -> Future[Found]:
        """Has the client's thread do something."""
        return asyncio.run_coroutine_threadsafe(work, self.client.loop.asyncio_loop)

    # In the client's thread.

    async def ask(self, address: str, question: Callable[..., Found]) -> Found | Exception:
        """What a worker answers, or why it does not tell."""
        told = await self.client.run(question, workers=[address], on_error="return")
        found: Found | Exception = told.get(address, OSError())
        return found

    async def deal(self, worker: Worker, errand: Errand) -> list[Outcome]:
        """Has a worker train a stack, with all that it needs for that."""
        here: dict[str, Any] = {"workers": [worker.address], "pure": False}
        try:
            delivered = await self.delivery.to(worker.address, worker.data, errand.stack)
            stack = await self.client.scatter(errand.stack, workers=[worker.address], hash=False)
        except LrsweepError:
            raise
        except Exception as error:  # whatever is wrong with the worker is seen at the next look
            raise Undelivered from error
        told = self.client.submit(train_there, stack, delivered, worker.address, errand.attempt, **here)
        errand.task = str(told.key)
        try:
            outcomes: list[Outcome] = await told
        finally:
            told.release()
        return outcomes


class Undelivered(Exception):
    """A worker did not get what it needs; it has begun nothing."""


def failed(future: Future[list[Outcome]]) -> bool:
    """Whether a future that is done has no outcomes."""
    return future.cancelled() or future.exception() is not None


def mismatch(found: dict[str, str] | Exception) -> str:
    """What a worker has that this process has not, in words; empty where they agree."""
    if isinstance(found, Exception):
        return f"cannot load lrsweep ({found})"  # of the class that it had there, in words
    for name, own in inventory().items():
        if found.get(name) != own:
            return f"has {name} {found.get(name)}, and this machine {own}"
    return ""
