"""Sweep files that mean no good, and a way to run a command on each in a process of its own, measured.

The small ones are in tests/hostile/; the big ones are made by the table below. As a program this is the door: it has
imported what a command needs, and runs each command that it is told of in a fork of itself, so that hundreds of them
take seconds. What a fork used is the most that a process of the command's own would have: its memory begins with all
that is imported here, and the time that the imports took is added to its own.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).parent / "hostile"

BASE = "dataset: iris\nlearning_rate: 0.1\nwidth: 2\nepochs: 1\nseeds: 1\n"

BIG: dict[str, str | bytes] = {
    "brackets": "a: " + "[" * 30_000,
    "brackets up to the limit of bytes": "a: " + "[" * 255_000,
    "brackets at the root": "[" * 30_000,
    "brackets that are closed": BASE + "noise: " + "[" * 30_000 + "]" * 30_000,
    "braces": "{" * 255_000,
    "named braces": "{a: " * 63_000,
    "billion laughs": "a: &a [" + "*a, " * 62_000 + "]",
    "few laughs": "a: &a [" + "*a, " * 9_000 + "]",
    "flow list": "a: [" + "1," * 125_000 + "]",
    "block list": "a:\n" + "- 1\n" * 62_000,
    "keys": "\n".join(f"k{i}: 1" for i in range(25_000)),
    "as many unknown keys as there may be": "\n".join(f"k{i}: 1" for i in range(9_990)),
    "long unknown keys": "\n".join(f"{'width' * 10}{i}: 1" for i in range(4_000)),
    "duplicates": "a: 1\n" * 51_000,
    "dashes": "- " * 125_000,
    "questions": "? " * 125_000,
    "question lines": "?\n" * 125_000,
    "double quotes": '"' * 255_000,
    "single quotes": "'" * 255_000,
    "long line": "a: " + "x" * 250_000,
    "long key": "x" * 250_000 + ": 1",
    "words": "a: " + "x " * 125_000,
    "blank lines in quotes": 'a: "' + "\n" * 250_000,
    "escapes": 'a: "' + "\\x41" * 60_000 + '"',
    "bad escape": 'a: "\\U00110000"',
    "surrogate escape": 'a: "\\uD800"',
    "huge escape": 'a: "\\UFFFFFFFF"',
    "tabs": "\t" * 255_000,
    "blanks": " " * 255_000,
    "line ends": "\n" * 255_000,
    "documents": "---\n" * 60_000,
    "tag directives": "".join(f"%TAG !{i:x}! x\n" for i in range(16_000)),
    "properties": "a: [" + "&a !b 1," * 9_000 + "]",
    "digits": "a: " + "1" * 250_000,
    "fraction": "a: 1." + "1" * 250_000,
    "exponent": "a: 1e" + "9" * 250_000,
    "long anchor": "a: &" + "a" * 250_000,
    "combining": "a: @" + "\u0301" * 120_000,
    "not text": b"\xff" * 255_000,
    "NULs": b"a: " + b"\0" * 250_000,
    "name of many letters": BASE + f"name: {'x' * 250_000}",
    "objective of many letters": BASE + f"objective: test_{'x' * 250_000}",
    "noise of many digits": BASE + f"objective: noisy_accuracy@{'1' * 250_000}",
    "expectation of many digits": BASE + f"expect: {{best_val_loss: '<= {'0' * 250_000}x'}}",
    "path of many folders": f"dataset: {{file: '{'a/' * 120_000}x.csv', target: y}}\nlearning_rate: 1",
    "rates": f"dataset: iris\nlearning_rate: [{','.join(f'0.{i:05}' for i in range(1, 19_000))}]",
    "optimizers": f"dataset: iris\nlearning_rate: 1\noptimizer: [{'{name: sgd},' * 6_600}]",
    "optimizers of product": "dataset: iris\nlearning_rate: 1\noptimizer: "
    f"{{name: adam, beta1: {{linear: [0, 0.9], num: 99999}}, beta2: [{'0.5,' * 15_000}]}}",
    "blocks": f"dataset: iris\nlearning_rate: 1\nblocks: [{'{width: 2},' * 6_600}]",
    "empty blocks": f"dataset: iris\nlearning_rate: 1\nblocks: [{'{},' * 19_000}]",
    "as many blocks as there may be": f"dataset: iris\nlearning_rate: 1\nseeds: 2\nblocks: [{'{},' * 9_999}]",
    "blocks that are wrong": f"dataset: iris\nlearning_rate: 1\nblocks: [{'{width: 0, x: 1},' * 3_900}]",
    "blocks of one mistake": f"dataset: digit\nlearning_rate: 0\nwidht: 1\nblocks: [{'{},' * 19_000}]",
    "excludes": "dataset: iris\nlearning_rate: {log: [1e-4, 1], num: 9000}\n"
    f"seeds: 1\nexclude: [{'{learning_rate: 0.5},' * 6_600}]",
    "excludes that compare more than they may": "dataset: iris\nlearning_rate: {log: [1e-4, 1], num: 9000}\n"
    f"seeds: 1\nexclude: [{'{learning_rate: 1e-4},' * 23}]",
    "zips": BASE + f"zip: [{'[width, depth],' * 6_000}]",
    "zip of one": BASE + f"zip: [[{'width,' * 19_000}]]",
    "datasets": f"learning_rate: 1\ndataset: [{','.join(f'd{i}' for i in range(19_000))}]",
    "files": f"learning_rate: 1\ndataset: [{','.join(f'{{idx: d{i}}}' for i in range(6_000))}]",
    "noise": BASE + f"noise: [{'0.1,' * 19_000}]",
    "seeds": f"dataset: iris\nlearning_rate: 1\nseeds: [{','.join(map(str, range(19_000)))}]",
    "growth": f"dataset: iris\nlearning_rate: 1\ngrowth: [{'{at_epoch: 1, to_width: 0},' * 3_900}]",
}
"""Each within the limits of the reader in bytes or in values, or just beyond them."""


@dataclass(frozen=True)
class Ended:
    """What became of a command, its output as text; `cpu` in seconds, `memory` in MB at the most."""

    code: int
    stdout: str
    stderr: str
    cpu: float
    memory: float


class Door:
    """Runs commands, each in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = [sys.executable, __file__, str(folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder, text=True)

    def run(self, *arguments: str | Path, new: bool = False) -> Ended:
        """A command of lrsweep, in a fork; or in a `new` Python, begun from here since memory counts from there on."""
        assert self.process.stdin
        assert self.process.stdout
        print(json.dumps([new, *map(str, arguments)]), file=self.process.stdin, flush=True)
        code, cpu, memory = json.loads(self.process.stdout.readline())
        told = [(self.folder / name).read_text("utf-8", errors="surrogateescape") for name in ("stdout", "stderr")]
        return Ended(code, *told, cpu, memory)

    def close(self) -> None:
        """Ends the process."""
        self.process.communicate()


def memory_of(used: resource.struct_rusage) -> float:
    """The most memory, in MB; Linux counts kB, macOS bytes."""
    return used.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def serve() -> None:
    """Runs what it reads, a line of arguments each, and answers with exit code, seconds and MB."""
    import lrsweep.__main__
    import lrsweep.cli
    import lrsweep.plan
    import lrsweep.spec
    import lrsweep.store
    import lrsweep.sweep

    own = resource.getrusage(resource.RUSAGE_SELF)
    for line in sys.stdin:
        child = os.fork()
        new, *arguments = json.loads(line)
        if not child:
            sys.argv = ["lrsweep", *arguments]
            for number, name in ((1, "stdout"), (2, "stderr")):
                os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            if new:
                os.execv(sys.executable, [sys.executable, "-m", *sys.argv])  # noqa: S606 (a shell has no part in it)
            lrsweep.__main__.main()
        _, status, used = os.wait4(child, 0)
        cpu = used.ru_utime + used.ru_stime + (0 if new else own.ru_utime + own.ru_stime)
        print(json.dumps([os.waitstatus_to_exitcode(status), cpu, memory_of(used)]), flush=True)


if __name__ == "__main__":
    sys.path.pop(0)  # tests/ has modules of its own
    serve()
