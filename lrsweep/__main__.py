"""The command `lrsweep`, also as `python -m lrsweep`."""

import os

from lrsweep import ONE_THREAD

os.environ.update(ONE_THREAD)


def main() -> None:
    """Runs the command line."""
    from lrsweep.cli import app

    app()


if __name__ == "__main__":
    main()
