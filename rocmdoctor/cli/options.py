"""Options that several verbs share."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

json_option: Decorator = click.option(
    "--json", "as_json", is_flag=True, help="One JSON envelope on stdout, nothing else."
)
root_option: Decorator = click.option(
    "--root", metavar="DIR", help="A mounted image or extracted tree; its files are read, no command is run."
)

env_option: Decorator = click.option(
    "--env", metavar="PATH", help="The Python environment to look at: venv or conda. Default: the active one."
)
deep_option: Decorator = click.option(
    "--deep",
    is_flag=True,
    help="Also ask the environment's own Python: import torch, one product on each GPU.",
)

content_option: Decorator = click.option(
    "--content",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="DIR",
    help="A folder with recipes/ and checks/ of your own.",
)


class Arch(click.ParamType):  # type: ignore[type-arg]
    """A gfx target that the table knows, with did-you-mean."""

    name = "gfx"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The target, without feature suffixes such as `:xnack-`."""
        import difflib

        from rocmdoctor.content import DataTables, bundled
        from rocmdoctor.facts.gpus import GpuTable

        name = str(value).lower().partition(":")[0]
        if re.fullmatch(r"\d[0-9a-f]+", name):
            name = f"gfx{name}"
        targets = DataTables(bundled())(GpuTable).targets
        if name not in targets:
            near = difflib.get_close_matches(name, targets, n=1, cutoff=0.6)
            hint = f", did you mean {near[0]}?" if near else "; 'rocmdoctor list gpus' shows them"
            self.fail(f"'{value}' is no gfx target that is known here{hint}", param, ctx)
        return name

    def shell_complete(self, _ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[Any]:
        """Completion from the table."""
        from click.shell_completion import CompletionItem

        from rocmdoctor.content import DataTables, bundled
        from rocmdoctor.facts.gpus import GpuTable

        targets = sorted(DataTables(bundled())(GpuTable).targets)
        return [CompletionItem(name) for name in targets if name.startswith(incomplete)]


KNOWN_ARCH = Arch()
