"""`rocmdoctor completion`."""

from __future__ import annotations

import click


@click.command(name="completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Print the completion script for a shell.

    \b
    rocmdoctor completion bash > ~/.local/share/bash-completion/completions/rocmdoctor
    rocmdoctor completion zsh  > ~/.zfunc/_rocmdoctor
    rocmdoctor completion fish > ~/.config/fish/completions/rocmdoctor.fish
    """
    from click.shell_completion import get_completion_class

    from rocmdoctor.cli.main import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    # `source()` asks bash for its version; the script itself does not depend on the answer.
    maker = kind(cli, {}, "rocmdoctor", "_ROCMDOCTOR_COMPLETE")
    click.echo(maker.source_template % maker.source_vars())
    return 0
