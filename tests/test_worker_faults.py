"""What may happen to workers: faults, no memory, no start. Only the guilty run pays, and a broken place says so."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from multiprocessing import util
from pathlib import Path

import pytest
from execute_cases import alive, stack_of, stack_on, trained
from waiting import wait_until

from lrsweep import execute
from lrsweep.datasets import MissingError
from lrsweep.execute.workers import FALSE_STARTS, Pool, Worker
from lrsweep.signals import Ended
from lrsweep.vocabulary import CRASHED, FAILED, FINISHED, DataError, Outcome, Source, Stack, UsageError

FAULTS = {
    601: ("ctypes.string_at(0)", "signal SIGSEGV; a fault in NumPy, its BLAS or the machine: --retry-failed"),
    602: ("os.kill(os.getpid(), signal.SIGBUS)", "signal SIGBUS; a fault in NumPy, its BLAS or the machine: --retry-"),
    603: ("os.abort()", "signal SIGABRT; a fault in NumPy, its BLAS or the machine: --retry-failed tries it again"),
    604: ("os.kill(os.getpid(), signal.SIGKILL)", "signal SIGKILL; it may have run out of memory: lower width, batch"),
    606: (
        "os.kill(os.getpid(), signal.SIGTERM)",
        "signal SIGTERM; something ended it, for want of memory perhaps: low",
    ),
    605: ("os._exit(3)", "exit code 3; --retry-failed tries it again"),
}
"""What the run with a seed does to its worker, and how that is told."""

LIMITED = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process's memory")


def sabotage(folder: Path, code: str, patch: pytest.MonkeyPatch) -> None:
    """Workers that run some code before anything else; this process and what it needs besides do not."""
    (folder / "sitecustomize.py").write_text(
        f"import os, sys\nif 'spawn_main' in ' '.join(sys.orig_argv):\n    exec({code!r}, globals())\n"
    )
    patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]))


def in_training(code: str) -> str:
    """Code that runs some other before a stack is trained."""
    return (
        "import ctypes, resource, signal\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
        "import lrsweep.execute.training\n"
        "train = lrsweep.execute.training.train\n"
        "def sabotaged(stack, data):\n"
        f"    exec({code!r}, globals(), locals())\n"
        "    return train(stack, data)\n"
        "lrsweep.execute.training.train = sabotaged\n"
    )


def statuses(outcomes: dict[str, Outcome]) -> dict[str, str]:
    """How each run ended."""
    return {run_id: outcome.status for run_id, outcome in outcomes.items()}


def wide(width: int, *seeds: int) -> Stack:
    """A stack of runs with two hidden layers of so many units."""
    stack = stack_of(*seeds, epochs=1)
    return replace(stack, runs=tuple(replace(run, width=width, depth=2) for run in stack.runs))


# Faults


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Outcome]]:
    """What becomes of a stack with all faults in it, and of another that is trained beside it."""
    code = "".join(f"if {seed} in [run.seed for run in stack.runs]: {fault}\n" for seed, (fault, _) in FAULTS.items())
    with pytest.MonkeyPatch.context() as patch:
        sabotage(tmp_path_factory.mktemp("faults"), in_training(code), patch)
        yield trained([stack_of(0, *FAULTS, 1), stack_of(2, 3)], workers=2)


@pytest.mark.parametrize("seed", FAULTS)
def test_a_run_whose_worker_dies_is_crashed_with_the_cause_and_a_remedy(faulty: dict[str, Outcome], seed: int) -> None:
    outcome = faulty[f"r{seed}"]
    assert outcome.status == CRASHED
    assert outcome.reason.startswith(f"its worker ended by {FAULTS[seed][1]}")


def test_all_runs_that_are_not_guilty_finish(faulty: dict[str, Outcome]) -> None:
    fine = {run_id: outcome for run_id, outcome in faulty.items() if outcome.status == FINISHED}
    assert fine.keys() == {"r0", "r1", "r2", "r3"}
    assert {run_id: outcome.timing["attempt"] for run_id, outcome in fine.items()} == {
        "r0": 2,
        "r1": 2,
        "r2": 1,
        "r3": 1,
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_no_run_is_guilty_of_what_ends_all_processes(number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue or a closing terminal may end the workers before this process hears of it."""

    def heard(_: float) -> None:
        raise Ended(number)

    pool = Pool(workers=1)
    process = pool.context.Process(target=time.sleep, args=(60,))
    process.start()
    assert process.pid
    os.kill(process.pid, number)
    worker = Worker(1, process, pool.context.Pipe()[0], stack_of(0), attempt=2, ready=True)
    pool.workers.append(worker)
    monkeypatch.setattr(time, "sleep", heard)
    with pytest.raises(Ended):
        pool.bury(worker)


def test_a_worker_that_does_not_see_the_parents_cache_ends_the_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its data is read again once, and not without end."""
    sabotage(tmp_path, f"os.environ['LRSWEEP_CACHE'] = {str(tmp_path / 'another')!r}", monkeypatch)
    with pytest.raises(DataError, match=r"another.* is missing or damaged"):
        trained([stack_of(0, 1)], workers=1)


def test_a_worker_may_lack_one_dataset_after_another() -> None:
    """Another that was idle may have got the stack that it had no data for."""
    pool, lost = Pool(workers=1), MissingError("lost")
    iris, wine = stack_of(0), stack_on(Source("name", "wine"), 1)
    worker = Worker(1, pool.context.Process(), pool.context.Pipe()[0], ready=True)
    for stack in (iris, wine):
        worker.stack = stack
        assert pool.heed(worker, lost) == []
    assert [stack.ids for stack, _ in pool.waiting] == [wine.ids, iris.ids]
    worker.stack = wine
    with pytest.raises(MissingError):
        pool.heed(worker, lost)


# No memory


@LIMITED
def test_a_stack_that_memory_does_not_hold_is_trained_run_by_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """8 runs take some 30 MB each, of 150."""
    sabotage(tmp_path, in_training(limit_memory(150_000_000)), monkeypatch)
    outcomes = trained([wide(1000, *range(8))], workers=1)
    assert {*statuses(outcomes).values()} == {FINISHED}
    assert {outcome.timing["attempt"] for outcome in outcomes.values()} == {2}


@LIMITED
def test_a_run_that_memory_does_not_hold_fails_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sabotage(tmp_path, in_training(limit_memory(150_000_000)), monkeypatch)
    outcomes = trained([wide(10_000, 0, 1), stack_of(2)], workers=1)
    assert statuses(outcomes) == {"r0": FAILED, "r1": FAILED, "r2": FINISHED}
    assert outcomes["r0"].reason.startswith("MemoryError: Unable to allocate ")
    assert outcomes["r0"].reason.endswith("; lower width, batch_size or --workers")


def limit_memory(more: int) -> str:
    """Code that lets a process have so many bytes more than it has."""
    has = "int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()"
    soft = "resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY"
    return f"if {soft}: resource.setrlimit(resource.RLIMIT_AS, ({has} + {more},) * 2)"


def removed(group: Path) -> bool:
    """Removes a control group, which it lets be as long as the kernel has not done with those that it killed there."""
    with contextlib.suppress(OSError):
        group.rmdir()
    return not group.exists()


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group whose processes may take 100 MB more together, after which the kernel kills one of them."""
    for root, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = Path(root, f"lrsweep-test-{os.getpid()}")
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / limit).write_text("100000000")
            for swap, most in (("memory.swap.max", "0"), ("memory.memsw.limit_in_bytes", "100000000")):
                with contextlib.suppress(OSError):  # there is none, or it is not counted here
                    (group / swap).write_text(most)
            yield group
            return
        except OSError:
            continue
        finally:
            wait_until(partial(removed, group))
    pytest.skip("no control group for memory can be made here, which takes root")


def test_the_kernels_killing_for_want_of_memory_crashes_only_the_guilty_run(
    small_group: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter = f"open({str(small_group / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))"
    sabotage(tmp_path, in_training(f"if stack.runs[0].width > 4000: {enter}"), monkeypatch)
    outcomes = trained([wide(5000, 0), stack_of(1, 2)], workers=2)
    assert statuses(outcomes) == {"r0": CRASHED, "r1": FINISHED, "r2": FINISHED}
    assert "signal SIGKILL; it may have run out of memory: lower width, batch_size" in outcomes["r0"].reason


# No start


def test_workers_that_all_die_at_their_start_are_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage(tmp_path, f"open({str(tmp_path / 'starts')!r}, 'a').write('x'); os._exit(7)", monkeypatch)
    with pytest.raises(UsageError) as error:
        trained([stack_of(seed) for seed in range(20)], workers=2)
    told = "no worker can be started: it ended by exit code 7; mend that, or train in this process with --workers 0"
    assert str(error.value) == told
    assert len((tmp_path / "starts").read_text()) <= 2 * FALSE_STARTS
    assert not multiprocessing.active_children()


def test_workers_that_cannot_import_what_they_need_say_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after an upgrade in the middle of a night."""
    sabotage(tmp_path, "sys.modules['lrsweep.engine.train'] = None", monkeypatch)
    with pytest.raises(UsageError, match=r"no worker can be started: ModuleNotFoundError: import of lrsweep\.engine"):
        trained([stack_of(0), stack_of(1)], workers=1)


def test_a_worker_that_dies_at_its_start_costs_its_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = f"try: os.mkdir({str(tmp_path / 'died')!r})\nexcept FileExistsError: pass\nelse: os._exit(7)"
    sabotage(tmp_path, once, monkeypatch)
    outcomes = trained([stack_of(0, 1)], workers=1)
    assert {(outcome.status, outcome.timing["attempt"]) for outcome in outcomes.values()} == {(FINISHED, 1)}


def test_where_only_some_workers_can_be_started_those_do_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = f"try: os.mkdir({str(tmp_path / 'lives')!r})\nexcept FileExistsError: os._exit(7)"
    sabotage(tmp_path, one, monkeypatch)
    with execute.crew(3) as go:
        for seeds in (range(5), range(5, 10)):
            ended = [outcome for ones in go([stack_of(seed, epochs=200) for seed in seeds]) for outcome in ones]
            assert sorted(outcome.run_id for outcome in ended) == [f"r{seed}" for seed in seeds]
            assert {outcome.status for outcome in ended} == {FINISHED}


def refusing(allowed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system starts so many processes, and then says that there are too many."""
    real, started = util.spawnv_passfds, []

    def start(*arguments: object) -> int:
        if len(started) == allowed:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        started.append(real(*arguments))
        return int(started[-1])

    multiprocessing.resource_tracker.ensure_running()
    monkeypatch.setattr(util, "spawnv_passfds", start)


def test_a_system_that_starts_no_process_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(0, monkeypatch)
    with pytest.raises(UsageError, match=r"Resource temporarily unavailable; raise the limit of processes \(ulimit -u"):
        trained([stack_of(0)], workers=2)


def test_a_system_that_starts_one_process_has_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(1, monkeypatch)
    outcomes = trained([stack_of(seed) for seed in range(4)], workers=3)
    assert {(outcome.status, outcome.timing["worker"]) for outcome in outcomes.values()} == {(FINISHED, 1)}


def limited_to(files: int, spec: Path) -> subprocess.CompletedProcess[str]:
    """A sweep with as many workers as there may be, in a process that may open so many files."""
    command = [sys.executable, "-m", "lrsweep", "run", str(spec), "--workers", "256", "--results", str(spec.parent)]
    limit = f"import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, ({files},) * 2); "
    start = [sys.executable, "-c", limit + "os.execv(sys.argv[1], sys.argv[1:])", *command]
    return subprocess.run(start, capture_output=True, text=True, check=False)


@pytest.fixture
def many_stacks(tmp_path: Path) -> Path:
    """A sweep with something to do for 20 workers."""
    spec = tmp_path / "many.yaml"
    spec.write_text("{dataset: iris, width: 4, learning_rate: [0.1, 0.01], epochs: 1, seeds: 10}")
    return spec


def test_as_many_workers_are_started_as_there_may_be_files(many_stacks: Path) -> None:
    done = limited_to(40, many_stacks)
    assert done.returncode == 0, done.stderr
    assert len((many_stacks.parent / "many" / "runs.csv").read_text().splitlines()) == 21


def test_too_few_files_for_a_worker_are_one_clear_error(many_stacks: Path) -> None:
    done = limited_to(20, many_stacks)
    assert done.returncode == UsageError.exit_code
    told = "no worker can be started: Too many open files; raise the limit of open files (ulimit -n), or train in"
    assert told in done.stderr.splitlines()[-1]


# No parent


def test_a_worker_that_is_still_importing_ends_with_its_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy takes ten minutes to import here: who looked after its parent only then would be found alive."""
    started = tmp_path / "started"
    slow = (
        "import time\n"
        "class Slow:\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        if name == 'numpy':\n"
        f"            open({str(started)!r}, 'w').write(str(os.getpid()))\n"
        "            time.sleep(600)\n"
        "sys.meta_path.insert(0, Slow)\n"
    )
    sabotage(tmp_path, slow, monkeypatch)
    script = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from execute_cases import stack_of, trained\n"
        "trained([stack_of(0)], 1)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script]) as parent:
        pid = 0
        while not pid:
            assert parent.poll() is None
            time.sleep(0.01)
            with contextlib.suppress(FileNotFoundError, ValueError):
                pid = int(started.read_text())
        parent.kill()
    wait_until(lambda: not alive(pid))  # half a second is what is meant; the rest is for a machine with much to do
