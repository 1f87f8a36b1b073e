"""`penstock detectors`: the installed detectors."""

import click

from penstock.cli.options import as_json, print_json


@click.command()
@as_json
def command(as_json: bool) -> None:
    """List the installed detectors."""
    from penstock.wiring.detectors import installed, load_detector, summary

    found = {name: summary(load_detector(name)) for name in installed()}
    if as_json:
        print_json(found)
        return
    for name, about in found.items():
        click.echo(f"{name:<14} {about['description']}")
        click.echo(f"{'':<14} {about['features']} features, {about['models']} models, {about['rules']} rules")
