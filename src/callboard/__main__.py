"""The command line: `callboard`, or `python -m callboard`."""

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    from callboard.cli.streams import hold_signals, prepare

    hold_signals()
    prepare()
    from callboard.cli.application import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
