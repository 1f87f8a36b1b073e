"""`penstock version`."""

import click


@click.command()
def command() -> None:
    """The version of Penstock."""
    from penstock import __version__

    click.echo(__version__)
