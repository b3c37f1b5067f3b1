"""``mutuals source map``: what the columns of a source mean, to be seen and saved."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.console import open_peer, result, say
from mutuals_client.source_understood import tell_mapping
from mutuals_client.stored_sources import definition_facts, definition_of, find_source


def map_source(
    name: Annotated[str, typer.Argument(help="The source's name.")],
    *,
    show: Annotated[bool, typer.Option("--show", help="Show what each column is taken for.")] = False,
    save: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write it to a file, to correct it or to use it elsewhere."),
    ] = None,
) -> None:
    """Show or save what the columns of a source mean. A corrected file is given to: mutuals source add --mapping

    Example: mutuals source map crm --save crm-mapping.toml
    """
    from mutuals.sources.mapping_file import mapping_toml

    with open_peer() as peer:
        definition = definition_of(find_source(peer, name))
    mapping = definition.mapping
    if mapping is None:
        raise MutualsError(
            ErrorCode.USAGE,
            f"Source {name} has the headings of the native format, which says for itself who consents.",
            hint=f"See: mutuals source show {name}",
        )
    if show or save is None:
        tell_mapping(mapping)
    if save is not None:
        try:
            with save.open("x", encoding="utf-8") as file:
                file.write(mapping_toml(mapping))
        except OSError as error:
            why = "is there already" if isinstance(error, FileExistsError) else "cannot be written"
            raise MutualsError(ErrorCode.USAGE, f"{save} {why}.", hint="Choose another file.") from None
        say(f"Saved to {save.name}. Use it: mutuals source add NAME --path FILE --mapping {save.name}")
    result(source=definition_facts(definition), file=None if save is None else str(save))
