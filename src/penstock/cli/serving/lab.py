"""`penstock lab`: pages for data scientists."""

import click

from penstock.cli.options import say, settings, settings_from


@click.command()
@click.argument("detectors", nargs=-1, metavar="[DETECTOR]...")
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Address the pages are shown at.")
@click.option(
    "--port", type=click.IntRange(0, 65535), metavar="N", default=8501, show_default=True, help="Port; 0 takes a free one."
)
@click.option("--url", metavar="URL", default="http://127.0.0.1:8000", show_default=True, help="The service to look at.")
@settings("data", "models", "registry", "key")
def command(detectors: tuple[str, ...], host: str, port: int, url: str, **flags: str | None) -> None:
    """Explore a service, data and models in a browser.

    Live figures of a service, replays to watch, a data set through a detector, simulated transactions, thresholds,
    versions side by side, and mistakes with their reasons. Offers these detectors, or all that are installed. Everybody
    who reaches the pages sees what the key may see, and can have any recorded file on this machine read: there is no
    sign-in.
    """
    from penstock.lab.server import run  # isort: skip -- first, for it says at once what is not installed
    from penstock.lab.api import ServiceClient
    from penstock.lab.options import LabOptions
    from penstock.service import bind
    from penstock.wiring.detectors import load_detectors

    chosen = settings_from(**flags)
    ServiceClient(url, chosen.key)  # validates the URL before anything starts
    options = LabOptions(url, detectors, {name: value for name, value in flags.items() if value is not None})
    load_detectors(detectors)
    with bind(host, port) as free:
        port = free.getsockname()[1]
    said = f"the lab is at http://{host}:{port}, looking at {url}  (Ctrl-C stops)"
    run(options, host=host, port=port, on_ready=lambda: say(said))
