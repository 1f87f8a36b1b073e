"""`penstock serve`: the service."""

import click

from penstock.cli.options import say, settings, settings_from


@click.command()
@click.argument("detectors", nargs=-1, required=True, metavar="DETECTOR...")
@settings("host", "port", "data", "models", "registry")
def command(detectors: tuple[str, ...], **flags: str | None) -> None:
    """Serve one or several detectors over HTTP.

    POST /predict decides; everything else is shown at /docs. A detector without trained models waits for the first ones;
    whichever version becomes the champion decides within seconds.
    """
    from penstock.assemble.detectors import load_detectors
    from penstock.assemble.engines import openers
    from penstock.assemble.registries import champions
    from penstock.cli.logs import begin_logging
    from penstock.service import bind, serve

    settings = settings_from(**flags)
    begin_logging(settings)
    sock = bind(settings.host, settings.port)
    port = sock.getsockname()[1]
    loaded = load_detectors(detectors)
    opening = openers(loaded, settings)
    names = ", ".join(opening)
    serve(
        opening,
        settings,
        sock=sock,
        champions=champions(loaded, settings),
        on_ready=lambda: say(f"serving {names} on http://{settings.host}:{port}  (Ctrl-C stops)"),
    )
