"""The command `lrsweep`, also as `python -m lrsweep`."""

import os

# Before NumPy is imported: two threads cost up to 20 times the time on products of this size, and change bits.
os.environ.update(OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", OMP_NUM_THREADS="1")


def main() -> None:
    """Runs the command line."""
    from lrsweep.cli import app

    app()


if __name__ == "__main__":
    main()
