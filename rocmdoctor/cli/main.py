"""The group of verbs, loaded lazily, and the last net under every error."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Sequence
from typing import Any

import click

from rocmdoctor import __version__

VERBS = {
    "check": "what is there, what is wrong first, and what cures it",
    "collect": "save what can be asked of this machine, to be judged elsewhere",
    "list": "what this release knows: checks, gpus",
    "completion": "shell completion for bash, zsh and fish",
}


class Verbs(click.Group):
    """Verbs by name; a verb's module is imported when it is used."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """In the order in which people need them."""
        return list(VERBS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """The verb, or None."""
        if name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"rocmdoctor.cli.{name}").command
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Without importing any verb."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """With did-you-mean."""
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in VERBS:
            near = difflib.get_close_matches(name, VERBS, n=1)
            hint = f", did you mean '{near[0]}'?" if near else f"; verbs: {', '.join(VERBS)}"
            raise click.UsageError(f"no verb '{name}'{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Every verb has --help with examples. Exit codes: 0 fine, 1 a check failed, 2 usage, 6 could not assess.",
)
@click.version_option(__version__, "-V", "--version", prog_name="rocmdoctor", message="%(prog)s %(version)s")
def cli() -> None:
    """Say why a machine with AMD GPUs cannot fine-tune, and how to cure it.

    \b
    rocmdoctor check                      judge this machine
    rocmdoctor check --snapshot box.json  judge a saved one
    rocmdoctor collect -o box.json        save this machine's answers
    """  # noqa: D301


def run(argv: Sequence[str] | None = None) -> int:
    """The exit code of a command line. Never a traceback: a bug of ours is named as one and ends in 70."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(words)
    except KeyboardInterrupt:
        return _failed(words, 130, "interrupted", "stopped by Ctrl-C; nothing was changed")
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.Abort:
        return _failed(words, 130, "interrupted", "stopped by Ctrl-C; nothing was changed")
    except click.ClickException as error:
        return _failed(words, 2, "usage", error.format_message(), _usage(error))
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception as error:  # noqa: BLE001 - users get one line, and the way to report it
        return _failed(
            words, 70, "bug", f"this is a bug in rocmdoctor: {type(error).__name__}: {error}", trace=error
        )


def _run(words: list[str]) -> int:
    result: Any = cli.main(args=words, prog_name="rocmdoctor", standalone_mode=False)
    sys.stdout.flush()
    return result if isinstance(result, int) else 0


def _usage(error: click.ClickException) -> str:
    ctx = getattr(error, "ctx", None)
    return f"Try '{ctx.command_path} --help'." if ctx is not None else ""


def _failed(
    words: list[str], code: int, kind: str, message: str, hint: str = "", trace: Exception | None = None
) -> int:
    where = ""
    if trace is not None:
        import traceback

        last = traceback.extract_tb(trace.__traceback__)[-1]
        where = f"{last.filename.rpartition('/')[2]}:{last.lineno}"
        hint = f"It happened at {where}. Report it with the output of 'rocmdoctor collect'."
    if "--json" in words:
        from rocmdoctor.reports.envelope import envelope

        verb = next((w for w in words if not w.startswith("-")), "")
        error = {"code": kind, "message": message, "where": where}
        click.echo(envelope(verb, "error", code, {}, [error]))
    else:
        click.echo(f"rocmdoctor: {message}", err=True)
        if hint:
            click.echo(hint, err=True)
    return code
