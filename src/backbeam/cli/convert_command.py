"""``backbeam convert``: the lattice of one code as that of another."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from backbeam.cli.reading import lattice_options, located, read_replacements


@click.command("convert")
@lattice_options
@click.option(
    "--to", "target", metavar="FORMAT", required=True, help="yaml or json (ours: nothing is lost), madx, pals."
)
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Where to; else it is printed.")
def command(
    files: tuple[Path, ...],
    line: str | None,
    format: str | None,
    replacements: tuple[str, ...],
    target: str,
    output: Path | None,
) -> None:
    """Read a lattice from FILES, in any format, or the name of an example, and write it in another; knobs stay knobs.

    What was dropped or guessed on the way is said on stderr.
    """
    from backbeam.errors import BackbeamError, InputError
    from backbeam.lattices import load
    from backbeam.lattices.writers import FORMATS, write
    from backbeam.whole_files import write_whole

    if target not in FORMATS:
        raise InputError("--to", target, f"one of {', '.join(FORMATS)}")
    if output is not None and output.resolve() in [path.resolve() for path in files]:
        raise InputError("--output", str(output), "another file than those that are read")
    loaded = load(*located(files), line=line, format=format, replace=read_replacements(replacements))
    text = write(target, loaded.line, loaded.reference)
    for note in str(loaded.report).splitlines():
        print(note, file=sys.stderr)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        write_whole(output, text.encode())
    except (OSError, ValueError) as error:  # ValueError: no name at all
        why = (getattr(error, "strerror", None) or str(error)).lower()
        raise BackbeamError(f"--output {output}: {why}") from None
    click.echo(f"{output}: {loaded.line!r}")
