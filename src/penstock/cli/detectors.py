"""`penstock detectors`: what DETECTOR can be."""

import click

from penstock.cli.options import as_json, print_json


@click.command()
@as_json
def command(as_json: bool) -> None:
    """The detectors that are installed."""
    from penstock import assemble

    found = {name: assemble.summary(assemble.load_detector(name)) for name in assemble.installed()}
    if as_json:
        print_json(found)
        return
    for name, summary in found.items():
        click.echo(f"{name:<14} {summary['description']}")
        click.echo(f"{'':<14} {summary['features']} features, {summary['models']} models, {summary['rules']} rules")
