"""The door: what a sweep file may say, and every message about it. Behind the door nothing is checked again."""

from pathlib import Path

from lrsweep.spec.keys import default_settings, setting_meanings
from lrsweep.spec.model import Spec
from lrsweep.spec.reader import load_spec
from lrsweep.spec.regrid import Rates, regridded
from lrsweep.spec.schema import json_schema

__all__ = ["Rates", "Spec", "default_settings", "json_schema", "load_spec", "regridded", "setting_meanings", "template"]


def template() -> str:
    """A commented sweep file to start from."""
    return Path(__file__).with_name("template.yaml").read_text("utf-8")
