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
    open_missing_streams()
    forget_odd_size()
    from lrsweep.cli import app
    from lrsweep.ending import printing

    try:
        with printing():
            app()
    finally:
        let_end()  # all is said


def open_missing_streams() -> None:
    """Puts nothing where stdin, stdout or stderr were closed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # else a file of ours gets this number next, and with it what C code and workers say
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def forget_odd_size() -> None:
    """Forgets a size of the terminal that is none: COLUMNS is 0 where nobody knows it."""
    for name in ("COLUMNS", "LINES"):
        size = os.environ.get(name, "")
        if not (size.isascii() and size.isdigit() and 0 < len(size.lstrip("0")) < 7):
            os.environ.pop(name, None)


if __name__ == "__main__":
    main()
