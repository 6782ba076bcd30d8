"""The door: what a sweep file may say, and every message about what a user wrote. Behind it nothing is checked again."""

from lrsweep.spec.keys import SWEEP_KEYS, default_settings, json_schema
from lrsweep.spec.reader import Block, Spec, load_spec

__all__ = ["SWEEP_KEYS", "Block", "Spec", "default_settings", "json_schema", "load_spec"]
