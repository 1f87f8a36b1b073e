"""`penstock serve`: the HTTP service."""

import threading

import click

from penstock.cli.options import accept_loss_flag, accepting, no_deliver_flag, settings, settings_from


@click.command()
@click.argument("detectors", nargs=-1, required=True, metavar="DETECTOR...")
@settings(
    "host",
    "port",
    "tls_cert",
    "tls_key",
    "tls_client_ca",
    "data",
    "models",
    "registry",
    "alerts",
    "stream",
    "workers",
    "ledger",
    "redis",
    "archive",
    "office",
    "on_timeout",
    "acceptors",
)
@accept_loss_flag
@no_deliver_flag
def command(detectors: tuple[str, ...], *, accept_loss: bool, no_deliver: bool, **flags: str | None) -> None:
    """Serve one or several detectors over HTTP.

    POST /predict decides; everything else is shown at /docs. A detector without trained models waits for the first ones;
    a new champion decides within seconds. With --stream the service decides nothing itself: it publishes to the broker,
    where `penstock worker` decides, and follows the worker's decisions.
    """
    from penstock.cli.logs import announce, begin_logging
    from penstock.cli.signals import stop_on_signals
    from penstock.features.compiled import background
    from penstock.service import bind, serve, url_of
    from penstock.wiring.detectors import load_detectors
    from penstock.wiring.extras import check_extras
    from penstock.wiring.service_parts import served_parts

    settings = settings_from(**accepting(flags, accept_loss=accept_loss, no_deliver=no_deliver))
    check_extras(settings)
    begin_logging(settings)
    sock = bind(settings.host, settings.port)
    url = url_of(settings, sock)
    loaded = load_detectors(detectors)
    begin_logging(settings, loaded[0].name if len(loaded) == 1 else None)
    compiles = background.running(on=settings.compile_features and settings.stream is None)
    with compiles, served_parts(dict(zip(detectors, loaded, strict=True)), settings) as parts:
        names = ", ".join([*parts.openers, *parts.brokered])
        quiet = "" if settings.deliver else "; it sends no webhooks and no alerts (deliver = false)"
        ready = f"serving {names} on {url}  (Ctrl-C stops){quiet}"
        opened = threading.Event()

        def on_ready() -> None:
            opened.set()
            announce(ready)

        serve(
            parts,
            settings,
            sock=sock,
            on_ready=on_ready,
            on_server=lambda stop: stop_on_signals(stop, settings.stop_within_s, started=opened.is_set),
        )
