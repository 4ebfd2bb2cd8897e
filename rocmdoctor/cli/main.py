"""The group of verbs, loaded lazily, and the last net under every error."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import click

from rocmdoctor import __version__
from rocmdoctor.cli.front import VERBS, page


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

    def get_help(self, _ctx: click.Context) -> str:
        """The page that is shown without click, too."""
        return page().rstrip()

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """With did-you-mean."""
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in VERBS:
            import difflib

            near = difflib.get_close_matches(name, VERBS, n=1)
            hint = f", did you mean '{near[0]}'?" if near else f"; verbs: {', '.join(VERBS)}"
            raise click.UsageError(f"no verb '{name}'{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, "-V", "--version", prog_name="rocmdoctor", message="%(prog)s %(version)s")
def cli() -> None:
    """Say why a machine with AMD GPUs cannot fine-tune, and how to cure it."""


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
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.ClickException as error:
        return _refused(words, error)
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception as error:  # noqa: BLE001 - users get one line, and the way to report it
        return _bug(words, error)


def _run(words: list[str]) -> int:
    result: Any = cli.main(args=words, prog_name="rocmdoctor", standalone_mode=False)
    # We may have been started without it.
    if sys.stdout is not None:
        sys.stdout.flush()
    return result if isinstance(result, int) else 0


def _refused(words: list[str], error: click.ClickException) -> int:
    where = getattr(error, "where", "")
    if where:
        return _failed(words, 2, "bad-input", str(error.message), where=where)
    return _failed(words, 2, "usage", error.format_message(), _usage(error))


def _usage(error: click.ClickException) -> str:
    ctx = getattr(error, "ctx", None)
    return f"Try '{ctx.command_path} --help'." if ctx is not None else ""


def _bug(words: list[str], error: Exception) -> int:
    import traceback

    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{last.filename.rpartition('/')[2]}:{last.lineno}"
    said = f"this is a bug in rocmdoctor: {type(error).__name__}: {error}"
    return _failed(words, 70, "bug", said, "Report it with the output of 'rocmdoctor collect'.", where)


def _ours(words: list[str]) -> list[str]:
    """The words of a command line that are not those of a program that it is to run; there --json names a file."""
    if words[:1] == ["run"]:
        return []
    return words[: words.index("--")] if "--" in words else words


def _failed(words: list[str], code: int, kind: str, message: str, hint: str = "", where: str = "") -> int:
    if "--json" in _ours(words):
        from rocmdoctor.reports.envelope import envelope

        verb = next((w for w in words if not w.startswith("-")), "")
        click.echo(envelope(verb, "error", code, {}, [{"code": kind, "message": message, "where": where}]))
        return code
    place = f"{where}: " if where else ""
    click.echo(f"rocmdoctor: {place}{message}", err=True)
    if hint:
        click.echo(hint, err=True)
    return code
