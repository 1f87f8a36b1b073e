"""`penstock labels`: imports labels from a file into a running service."""

from pathlib import Path

import click

from penstock.cli.options import as_json, print_json, progress, say, settings, settings_from


@click.group()
def command() -> None:
    """Labels: chargebacks, disputes, verdicts."""


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--to", "url", default="http://127.0.0.1:8000", show_default=True, metavar="URL", help="The service.")
@settings("key", "tls_cert", "tls_key")
@as_json
def import_file(file: Path, url: str, as_json: bool, **flags: str | None) -> None:
    """Post a CSV table of labels to a running service.

    The first row names the columns: transaction_id and fraud (true, false, 1, 0, yes, no), and optionally known_at,
    source, kind, detector. A refused row is shown with its line. Exit 1 if one was refused.
    """
    from penstock.wiring.traffic.producers import post_label_file

    with progress("posting") as advance:
        accepted, refused = post_label_file(settings_from(**flags), url, file, advance)
    if as_json:
        print_json({"accepted": accepted, "refused": [{"row": row, "detail": detail} for row, detail in refused]})
    else:
        for row, detail in refused:
            say(f"row {row}: {detail}")
        click.echo(f"{accepted} labels taken in, {len(refused)} refused")
    if refused:
        raise click.exceptions.Exit(1)
