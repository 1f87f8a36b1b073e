"""All routes of the service, in the order in which requests are matched: a new module of routes needs its line here."""

from penstock.service import search
from penstock.service.access import oidc, session, users_keys
from penstock.service.changes import approvals, backtests, features, lists, models, rules, trials
from penstock.service.decide import ingest, predict, transactions
from penstock.service.http.route import Route, limited_of, table_of
from penstock.service.insights import routes as insights
from penstock.service.investigate import cases, casework, context, ring, workload
from penstock.service.live import replay_jobs, web, websocket
from penstock.service.operations import alert_channels, alerts, audit, drift, health, probes, quarantine, reports, webhooks
from penstock.service.records import decisions, definitions, evaluations, personal, profiles, results, saved_views, verification

ROUTES: tuple[Route, ...] = (
    *probes.route,
    *session.route,
    *oidc.route,
    *predict.route,
    *transactions.route,
    *replay_jobs.route,
    *ingest.route,
    *ring.route,  # before /entities/{entity}/{key}, whose key may hold slashes
    *decisions.route,
    *backtests.route,
    *drift.route,
    *results.route,
    *profiles.route,
    *insights.route,
    *verification.route,
    *definitions.route,
    *evaluations.route,
    *context.route,
    *search.route,
    *saved_views.route,
    *personal.route,
    *trials.route,
    *models.route,
    *casework.route,
    *workload.route,
    *cases.route,
    *rules.route,
    *lists.route,
    *approvals.route,
    *features.route,
    *health.route,
    *quarantine.route,
    *alert_channels.route,
    *alerts.route,
    *webhooks.route,
    *reports.route,
    *users_keys.route,
    *audit.route,
    *websocket.route,
    *web.route,
)

TABLE = table_of(ROUTES)
"""By method (WS: a WebSocket) and path: the rights of which one is needed."""

LIMITED = limited_of(ROUTES)
"""Method and path of the routes that are open to callers whose role holds for some detectors alone."""
