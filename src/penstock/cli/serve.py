"""`penstock serve`: the service."""

import click

from penstock.cli.options import say, settings, settings_from


@click.command()
@click.argument("detectors", nargs=-1, required=True, metavar="DETECTOR...")
@settings("host", "port", "data", "models")
def command(detectors: tuple[str, ...], **flags: str | None) -> None:
    """Serve one or several detectors over HTTP.

    POST /predict decides; everything else is shown at /docs.
    """
    from penstock.assemble.detectors import load_detectors
    from penstock.assemble.engines import openers
    from penstock.cli.logs import begin_logging
    from penstock.service import bind, serve

    settings = settings_from(**flags)
    begin_logging(settings)
    sock = bind(settings.host, settings.port)
    port = sock.getsockname()[1]
    opening = openers(load_detectors(detectors), settings)
    names = ", ".join(opening)
    serve(
        opening, settings, sock=sock, on_ready=lambda: say(f"serving {names} on http://{settings.host}:{port}  (Ctrl-C stops)")
    )
