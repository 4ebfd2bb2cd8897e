"""Where the program starts. The two pages that are asked most cost no import of ours but the text itself."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """The console script."""
    words = sys.argv[1:]
    # Shell completion calls without words and says in a variable what it wants.
    completing = "_ROCMDOCTOR_COMPLETE" in os.environ
    if words in (["--version"], ["-V"]):
        from rocmdoctor import __version__

        sys.stdout.write(f"rocmdoctor {__version__}\n")
    elif words in ([], ["--help"], ["-h"]) and not completing:
        from rocmdoctor.cli.front import page

        sys.stdout.write(page())
    else:
        from rocmdoctor.cli.main import run

        sys.exit(run())


if __name__ == "__main__":
    main()
