"""`penstock serve`: the service."""

import click

from penstock.cli.options import settings, settings_from


@click.command()
@click.argument("detectors", nargs=-1, required=True, metavar="DETECTOR...")
@settings("host", "port", "data", "models", "registry", "alerts", "stream", "ledger", "archive", "office")
def command(detectors: tuple[str, ...], **flags: str | None) -> None:
    """Serve one or several detectors over HTTP.

    POST /predict decides; everything else is shown at /docs. A detector without trained models waits for the first ones;
    whichever version becomes the champion decides within seconds. With --stream it decides nothing itself: it publishes to
    the broker, where `penstock worker` decides, and follows what is decided there.
    """
    from penstock.assemble.alerts import Alerting
    from penstock.assemble.books import books_of
    from penstock.assemble.cases import CaseWork
    from penstock.assemble.detectors import load_detectors
    from penstock.assemble.drift import DriftWork
    from penstock.assemble.engines import openers
    from penstock.assemble.growing import growing
    from penstock.assemble.office import office_of
    from penstock.assemble.personal import keeping
    from penstock.assemble.registries import champions
    from penstock.assemble.replays import Replays
    from penstock.assemble.rulebooks import newer_rules
    from penstock.assemble.streams import besides
    from penstock.assemble.trials import TrialWork
    from penstock.cli.logs import announce, begin_logging
    from penstock.service import bind, serve

    settings = settings_from(**flags)
    begin_logging(settings)
    sock = bind(settings.host, settings.port)
    port = sock.getsockname()[1]
    loaded = load_detectors(detectors)
    begin_logging(settings, loaded[0].name if len(loaded) == 1 else None)
    alerting, drift = Alerting.of(loaded, settings), DriftWork(settings)
    if alerting is not None:
        alerting.also(drift.figures)
    with office_of(settings) as office, keeping(loaded, settings, office) as kept:
        work = CaseWork(loaded, settings, office)
        beside = besides(loaded, settings, alerting, work) if settings.stream is not None else {}
        opening = {} if beside else openers(loaded, settings, alerting=alerting, work=work, keeping=kept)
        trials = TrialWork(office, loaded, settings, alerted=alerting is not None)
        if alerting is not None:
            alerting.others(trials.announcements.take)
        names = ", ".join([*opening, *beside])
        serve(
            opening,
            settings,
            sock=sock,
            replays=Replays(dict(zip(detectors, loaded, strict=True)), settings),
            champions=champions(loaded, settings),
            rules=newer_rules(office, loaded),
            beside=beside,
            alerts=None if alerting is None else alerting.listen,
            cases=work.cases,
            drift=drift,
            trials=trials,
            features=growing(office, loaded, settings, decides=not beside),
            books={detector.name: books_of(office, detector, settings) for detector in loaded},
            vault=None if kept is None else kept.vault,
            on_ready=lambda: announce(f"serving {names} on http://{settings.host}:{port}  (Ctrl-C stops)"),
        )
