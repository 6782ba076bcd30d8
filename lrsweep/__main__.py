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
    make_up()
    from lrsweep.cli import app
    from lrsweep.ending import printing

    try:
        with printing():
            app()
    finally:
        let_end()  # all is said


def make_up() -> None:
    """Makes up for what was left out: of stdin, stdout and stderr, and of the size of a terminal."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # else a file of ours gets this number next, and with it what C code and workers say
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name in ("COLUMNS", "LINES"):
        size = os.environ.get(name, "")
        if not (size.isascii() and size.isdigit() and 0 < len(size.lstrip("0")) < 7):  # 0 where nobody knows
            os.environ.pop(name, None)


if __name__ == "__main__":
    main()
