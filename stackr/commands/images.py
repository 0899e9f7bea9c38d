"""`stackr images`."""

import json
import time
from collections.abc import Iterator

import click
from stackr_schemas.errors import StackrError
from stackr_schemas.image import StoredImage

from stackr.commands.ps import ago
from stackr.invocation import Invocation
from stackr.table import table

COLUMNS = ("REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE")
_NONE = "<none>"


@click.command()
@click.argument("repository", required=False)
@click.option("-q", "--quiet", is_flag=True, help="Print ids alone.")
@click.option("--no-trunc", "whole", is_flag=True, help="Do not shorten ids.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
@click.pass_obj
def images(
    invocation: Invocation, /, repository: str | None, quiet: bool, whole: bool, form: str
) -> None:
    """List the images in the store, the newest first."""
    rows = [row for image in invocation.engine.images.list() for row in rows_of(image, whole)]
    if repository:
        rows = [row for row in rows if row["Repository"] == _repository(repository)]
    if quiet:
        lines: Iterator[str] = iter(dict.fromkeys(row["ID"] for row in rows))
    elif form == "json":
        lines = (json.dumps(row) for row in rows)
    else:
        lines = table(COLUMNS, [_cells(row) for row in rows])
    for line in lines:
        invocation.stdout.write(line + "\n")


def rows_of(image: StoredImage, whole: bool) -> Iterator[dict[str, str]]:
    """Describe an image once for each of its names, in the fields of `docker images`."""
    created = time.gmtime(image.created)
    for name in image.names or (f"{_NONE}:{_NONE}",):
        repository, tag, digest = _split(name)
        yield {
            "Repository": repository,
            "Tag": tag,
            "Digest": digest,
            "ID": image.id if whole else image.id[7:19],
            "CreatedAt": time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", created),
            "CreatedSince": f"{ago(time.time() - image.created)} ago" if image.created else "N/A",
            "Size": size_text(image.size),
        }


def size_text(size: float) -> str:
    """Say bytes as Docker does: three digits, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g}{unit}"
        size /= 1000
    return f"{size:.3g}TB"


def _split(name: str) -> tuple[str, str, str]:
    from stackr_engine.image.reference import parse_reference

    try:
        parsed = parse_reference(name)
    except StackrError:  # <none>, or the place of an OCI layout
        repository, _, tag = name.rpartition(":")
        return repository, tag, _NONE
    familiar = parsed.familiar.removesuffix(f"@{parsed.digest}").removesuffix(f":{parsed.tag}")
    return familiar, parsed.tag or _NONE, parsed.digest or _NONE


def _repository(text: str) -> str:
    return _split(text)[0]


def _cells(row: dict[str, str]) -> tuple[str, ...]:
    keys = ("Repository", "Tag", "ID", "CreatedSince", "Size")
    return tuple(row[key] for key in keys)
