"""The range test of a small sweep file in the current folder, as from the command line."""

from __future__ import annotations

import json
from typing import Any

from typer.testing import CliRunner

from lrsweep.cli import app

TEXT = "{dataset: digits, subset: 0.3, width: 16, optimizer: [momentum, adam], learning_rate: 3, epochs: 8, seeds: 2}"

runner = CliRunner()


def find(*arguments: str, code: int = 0) -> tuple[str, str]:
    """What the command prints on stdout and stderr, in this process."""
    result = runner.invoke(app, ["find", "small.yaml", *arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stdout, result.stderr


def found(*arguments: str) -> list[dict[str, Any]]:
    """The settings of the document."""
    document = json.loads(find(*arguments, "--json", "--quiet")[0])
    assert document.pop("schema_version") == 1
    return list(document.pop("settings")) if list(document) == ["settings"] else []
