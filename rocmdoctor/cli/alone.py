"""`./run collect`: the verb without any package, for machines that have only a python3."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rocmdoctor.cli import taking


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 written, 2 usage, 130 Ctrl-C, 70 our bug."""
    try:
        return _collect(_parser().parse_args(argv))
    except taking.WrongUseError as error:
        return _failed(2, str(error))
    except KeyboardInterrupt:
        return _failed(130, "stopped by Ctrl-C; nothing was changed")
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception as error:  # noqa: BLE001 - a box without git or editor gets one line, not a traceback
        return _failed(70, f"this is a bug in rocmdoctor: {_place(error)}: {type(error).__name__}: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./run",
        description="Save what can be asked of this machine, raw, to be judged elsewhere. Changes nothing.",
        epilog="No secret enters: shell and package files are read through patterns, credentials in URLs are cut.",
    )
    verb = parser.add_subparsers(metavar="collect", required=True).add_parser(
        "collect", description=parser.description, epilog=parser.epilog
    )
    verb.add_argument("-o", "--output", type=Path, metavar="FILE", help="write here; default is stdout")
    verb.add_argument("--root", metavar="DIR", help="a mounted image or extracted tree; no command is run")
    verb.add_argument(
        "--env", metavar="PATH", help="the Python environment to look at; default: the active one"
    )
    verb.add_argument("--list", action="store_true", help="print every question and template, ask nothing")
    verb.add_argument(
        "--patience", type=_factor, default=1.0, help="stretches all time limits by this factor"
    )
    verb.add_argument(
        "--share", action="store_true", help="mask names, home folders, addresses and serial numbers"
    )
    verb.add_argument("--json", action="store_true", help="one JSON envelope on stdout, nothing else")
    return parser


def _factor(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not between 0.1 and 100")
    return value


def _collect(options: argparse.Namespace) -> int:
    if options.list:
        return taking.show_list(as_json=options.json)
    code = taking.collect(
        options.output,
        options.root,
        options.patience,
        options.env,
        as_json=options.json,
        shared=options.share,
    )
    sys.stdout.flush()
    return code


def _failed(code: int, message: str) -> int:
    sys.stderr.write(f"rocmdoctor: {message}\n")
    return code


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "nowhere"
    return f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"


if __name__ == "__main__":
    sys.exit(main())
