"""Where the program starts. Nothing heavy is imported for `--version`."""

from __future__ import annotations

import sys


def main() -> None:
    """The console script."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from rocmdoctor import __version__

        sys.stdout.write(f"rocmdoctor {__version__}\n")
        return
    from rocmdoctor.cli.main import run

    sys.exit(run())


if __name__ == "__main__":
    main()
