"""The command `lrsweep`, also as `python -m lrsweep`."""

try:
    import os

    from lrsweep import ONE_THREAD
    from lrsweep.signals import let_end
except KeyboardInterrupt:  # before it can be heeded
    raise SystemExit(130) from None

os.environ.update(ONE_THREAD)


def main() -> None:
    """Runs the command line."""
    let_end("stopped")  # while it imports, and reads its arguments
    from lrsweep.cli import app
    from lrsweep.ending import printing

    try:
        with printing():
            app()
    finally:
        let_end()  # all is said


if __name__ == "__main__":
    main()
