"""How commands end when something is wrong."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from pizzeria.errors import PizzeriaError

__all__ = ["told_plainly"]


@contextmanager
def told_plainly() -> Iterator[None]:
    """Our own errors are a sentence on stderr and exit code 1; Ctrl-C is 130."""
    try:
        yield
    except PizzeriaError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
