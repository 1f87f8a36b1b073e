"""`penstock detectors`: the installed detectors."""

import click

from penstock.cli.options import as_json, print_json, show_table


@click.command()
@as_json
def command(as_json: bool) -> None:
    """List the installed detectors."""
    from penstock.wiring.detectors import installed, load_detector, summary

    found = {name: summary(load_detector(name)) for name in installed()}
    if as_json:
        print_json(found)
        return
    rows = []
    for name, about in found.items():
        rows.append((name, about["description"]))
        rows.append(("", f"{about['features']} features, {about['models']} models, {about['rules']} rules"))
    show_table(rows)
