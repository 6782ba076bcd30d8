"""Sweep files as no person writes them: whole ones with a part exchanged, bytes bent, and noise."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

from lrsweep.spec.keys import FIELDS, GRID_FORMS, REGISTRIES, SYNONYMS, settings_rules

SWEEPS = Path(__file__).parents[1] / "sweeps"
CORPUS = Path(__file__).parent / "hostile"

GOOD = {
    "name": ("x", "a..b", "con", "nul", "1e3", "123", "true", "x.bak-1", "sample", "runs.csv"),
    "description": ("a note", "'=1+1'", '"[/red] <script>"', '"\\n\\n"', "|\n  two\n  lines\n"),
    "dataset": (
        *("iris", "digits", "diabetes", "moons", "[iris, wine]", "[iris, diabetes]", "{idx: .}", "{idx: ../../..}"),
        *("{file: t.csv, target: y}", "{file: t.csv, target: x, task: regression}", "{file: /dev/zero, target: y}"),
        *("{file: '=cmd|.csv', target: '[/red]'}", "[{file: t.csv, target: y}, {file: t.csv, target: x}]"),
    ),
    "task": ("classification", "regression", "none", "~"),
    "subset": ("0.5", "20", "[0.1, 0.5]", "{linear: [0.1, 1], num: 3}", "1"),
    "validation": ("0.1", "0.9", "1e-300"),
    "test": ("0", "0.5", "0.99"),
    "split_seed": ("7", "9007199254740992"),
    "standardize": ("true", "false"),
    "width": ("4", "[4, 8]", "{doubling: [2, 16]}", "9007199254740992", "{log: [1, 1e15], num: 3}"),
    "depth": ("0", "[0, 1, 2]", "9007199254740992"),
    "activation": ("tanh", "[relu, gelu]"),
    "parametrization": ("mup", "[standard, mup]"),
    "base_width": ("2",),
    "optimizer": (
        *("sgd", "[sgd, adam]", "{name: momentum, momentum: [0.5, 0.9]}"),
        *("{name: adam, beta1: {linear: [0, 0.9], num: 3}}"),
        *("[prodigy, {name: lion, weight_decay: {log: [1e-5, 1], num: 2}}]",),
    ),
    "learning_rate": (
        *("0.1", "[0.1, 1]", "{log: [1e-4, 1], per_decade: 3}", "{halton: [1e-9, 1e9], num: 7}", "1e-320", "1e308"),
        *("{log: [1e-320, 1e308], num: 5}", "{log_uniform: [1, 2], num: 4}", "{log: [1e-4, 1], num: 1000000000000}"),
    ),
    "layer_rates": ("1", "{decay: [0.5, 1]}", "{first: 0.1, last: {log: [0.1, 10], num: 3}}"),
    "schedule": (
        *("cosine", "[constant, {name: step, warmup: 0.1}]", "{name: cosine, warmup: {linear: [0, 0.5], num: 3}}"),
    ),
    "batch_size": ("full", "[8, full]", "{doubling: [4, 64]}", "9007199254740992"),
    "epochs": ("2", "[1, 2]", "1000000000000"),
    "clip_norm": ("none", "[none, 1]", "1e-300"),
    "growth": ("none", "{at_epoch: 1, to_width: 128}", "{at_epoch: [1, 2], to_width: 64, rate: [keep, {scale: 0.5}]}"),
    "precision": ("float64",),
    "noise": ("0.1", "[0.1, 0.2]", "{linear: [0.1, 1], num: 5}", "none"),
    "seeds": ("1", "2", "[5, 7]", "9007199254740992"),
    "objective": ("val_accuracy", "best_val_loss", "noisy_accuracy@0.1", "noisy_r2@9e+9", "test_loss"),
    "select": ("best", "final"),
    "elimination": (
        *("screen", "halving", "{screen: {subset: 0.5, epochs: 1}, halving: {factor: 2}}"),
        *("{halving: {resource: subset}}",),
    ),
    "extend": ("until_bracketed", "true", "{max_decades: 10}"),
    "refine": ("true", "{decades: 1e-9, max_rates: 100}"),
    "expect": (
        *("none", "{best_val_accuracy: '>= 0.95', diverged: '<= 4', at_edge: false}", "{best_rate: [1e-3, 0.1]}"),
        *("{best_rate: '< 1e-3', failed: == 0}", "{best_val_loss: '<= 99999999999999999999999999e-9'}"),
    ),
    "zip": ("[[width, batch_size]]", "[[learning_rate, width], [seeds, depth]]", "[[dataset, optimizer]]"),
    "exclude": (
        *("[{optimizer: sgd}]", "[{width: 4, optimizer: {name: adam}}, {learning_rate: 0.1}]", "[{seeds: 0}]"),
        *("[{growth: {to_width: 64}}, {layer_rates: {decay: 0.5}}]",),
    ),
    "blocks": (
        *("[{width: 4}, {width: [8, 16], optimizer: adam}]", "[{learning_rate: 1}, {dataset: wine}]"),
        *("[{zip: [[width, depth]], width: [4, 8], depth: [0, 1]}, {exclude: [{width: 4}]}]",),
    ),
}  # fmt: skip
"""For each key, values that go with it; some only with others, or with other data."""

ODD = (
    *("", "~", "null", "true", "no", "''", '""', "0", "-0.0", "-1"),
    *("1e999", "-1e999", ".nan", ".inf", "0x10", "0o7", "012"),
    *("1e-999", "9007199254740993", "9" * 250, "9" * 251, f"0x{'f' * 250}", "1_000", "12:30:45"),
    *("2020-01-01", "1e3", "."),
    *("[]", "{}", "[[]]", "[{}]", "{a: {}}", "[~]", "{~: 1}", "? x"),
    *("- 1", "*a", "&a 1", "!!int 1", "!x", "<<", "<", "@", "%"),
    *("none", "full", "name", "../../../etc/passwd", "/dev/zero"),
    *("con", "=cmd|' /C calc'!A0", "[/red]", "<script>", "$(id)"),
    *("'`id`'", "'it''s'", '"\\x41"', '"\\e[31m"', '"\\u202e"', '"\\ud800"', '"\\0"', "é", "日本"),
    *("😀", "e\u0301", "x" * 300),
    *("openml:", "openml:../x", "noisy_accuracy@", "noisy_accuracy@1e9", "test_" + "x" * 300),
    *("val_loss ", ">= 0.5", "'>'"),
)  # fmt: skip

KEYS = st.sampled_from(
    [
        *(*FIELDS, *SYNONYMS),
        *("num", "per_decade", "momentum", "warmup", "decay", "first", "rate", "scale", "to_width", "min", "screen"),
        *("halving", "file", "target", "idx", "best_rate", "x", "widht", "'<<'", "''", "1", "~", "é", "[a]"),
    ]
)
NUMBERS = st.one_of(
    st.integers(-3, 30).map(str),
    st.sampled_from(["0.1", "0.5", "1e-3", "1e-300", "1e300", "1e15", "9007199254740992", "1000000000000"]),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
)
SCALARS = st.one_of(
    NUMBERS,
    st.sampled_from(ODD),
    st.sampled_from([*REGISTRIES["optimizer"], *REGISTRIES["schedule"]]),
    st.from_regex(r"'(>=|<=|==|>|<|=)? ?[-+]?[0-9.]{0,4}(e[-+]?[0-9]{1,3})?'", fullmatch=True),
)


def listed(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A list in flow style."""
    return st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]")


def mapped(keys: st.SearchStrategy[str], inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A mapping in flow style; keys may be there twice."""
    pairs = st.lists(st.tuples(keys, inner), max_size=4)
    return pairs.map(lambda items: f"{{{', '.join(f'{key}: {value}' for key, value in items)}}}")


GRIDS = st.builds(
    "{{{}: [{}, {}], {}: {}}}".format,
    st.sampled_from([*GRID_FORMS]),
    NUMBERS,
    NUMBERS,
    st.sampled_from(["num", "per_decade", "x"]),
    NUMBERS,
)


@st.composite
def choices(draw: st.DrawFn) -> str:
    """An optimizer or a schedule with settings of its own, their values as they come."""
    key = draw(st.sampled_from([*REGISTRIES]))
    name = draw(st.sampled_from([*REGISTRIES[key]]))
    rules = settings_rules(key, name)
    given = draw(st.lists(st.sampled_from([*rules]), max_size=3, unique=True)) if rules else []
    told = [f"{setting}: {draw(SCALARS | GRIDS | listed(NUMBERS))}" for setting in given]
    return f"{{{', '.join([f'name: {name}', *told])}}}"


FITTING = st.sampled_from([value for values in GOOD.values() for value in values])
VALUES: st.SearchStrategy[str] = st.recursive(
    st.one_of(SCALARS, GRIDS, FITTING, choices()), lambda inner: listed(inner) | mapped(KEYS, inner), max_leaves=8
)


def value_of(key: str) -> st.SearchStrategy[str]:
    """Mostly what goes with a key."""
    good = st.sampled_from(GOOD[key])
    return st.one_of(good, good, good, good, listed(good), VALUES)


OTHERS = st.lists(
    st.sampled_from([key for key in GOOD if key not in ("dataset", "learning_rate")]), max_size=6, unique=True
)


@st.composite
def sweeps(draw: st.DrawFn) -> str:
    """A sweep file with some of the keys, in any order and mostly with what goes with them."""
    needed = draw(st.sampled_from([("dataset", "learning_rate")] * 9 + [()]))
    keys = draw(st.permutations([*needed, *draw(OTHERS)]))
    lines = [f"{key}: {draw(value_of(key))}" for key in keys]
    lines += [f"{draw(KEYS)}: {draw(VALUES)}" for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2])))]
    return "\n".join(lines) + "\n"


def sources() -> list[bytes]:
    """What is bent: the sweeps of the project, and what was hostile before."""
    return [path.read_bytes() for folder in (SWEEPS, CORPUS) for path in sorted(folder.glob("*.yaml"))]


TOKENS = st.sampled_from(
    [
        *(sign.encode() for sign in "[]{},:-?#&*!|>'\"%@` \n\t\r~=<"),
        *(b"\0", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xef\xbb\xbf"),
        *(b"\xe2\x80\xae", b"\x1b[31m", b"\xc2\x9b", b"\x85"),
        *(b": ", b"- ", b"? ", b"\n  ", b"&a ", b"*a ", b"!!t ", b"<<: "),
        *(b"\n---\n", b"...", b"1e999", b"0x", b".nan", b"\\x00"),
        *(b"[" * 30, b"{a: " * 30, b"9" * 300, b" " * 200, b"\n" * 50, "é日😀".encode()),
    ]
)  # fmt: skip


@st.composite
def bent(draw: st.DrawFn) -> bytes:
    """A file with a few of its bytes taken out, doubled, moved, or exchanged for others."""
    files = sources()
    data = draw(st.sampled_from(files))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from([0, 0, 1, 1, 2, 8, 40, 400])))
        other = draw(st.sampled_from(files))
        at = draw(st.integers(0, len(other)))
        new = [draw(TOKENS), b"", data[start:end] * 2, other[at : at + 40], draw(st.binary(max_size=4))]
        data = data[:start] + draw(st.sampled_from(new)) + data[end:]
    return data


NOISE = st.one_of(st.binary(max_size=200), st.text(max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass")))
