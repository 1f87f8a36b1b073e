"""Settings from, in order of precedence: flags, environment, `.env`, `penstock.toml`, defaults.

One field per setting, with its type, default and description; the table in docs/reference/settings.md is made from
here. A setting `queue_limit` is the flag `--queue-limit`, the variable `PENSTOCK_QUEUE_LIMIT`, the key `queue_limit`.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from penstock.decoding import prepared
from penstock.errors import ConfigurationError, did_you_mean, shown_url

PREFIX = "PENSTOCK_"
FILE = "penstock.toml"
_ALERTS = {"alerts", "channels", "alerting"}
"""Tables that `penstock.alerts` reads. If penstock.toml has one of them, the setting `alerts` defaults to that file."""


Positive = Annotated[float, Meta(gt=0)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of Penstock.

    >>> Settings(port=9000).port
    9000
    """

    host: Annotated[str, Meta(description="Address the service listens on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port the service listens on; 0 takes a free one.")] = 8000
    tls_cert: Annotated[
        Path | None,
        Meta(
            description="Certificate of the service in PEM form, followed by the intermediate certificates; plain HTTP unless"
            " given. Commands that call a service use it as their client certificate."
        ),
    ] = None
    tls_key: Annotated[
        Path | None,
        Meta(description="Private key of `tls_cert` in PEM form, without a passphrase; read from that file unless given."),
    ] = None
    tls_client_ca: Annotated[
        Path | None,
        Meta(
            description="Certificate authorities in PEM form; clients need a certificate signed by one of them (mutual TLS)."
            " Clients need no certificate unless given."
        ),
    ] = None
    data: Annotated[Path, Meta(description="Data folder: `ledger/`, `state/`, `models/`, `archive/`.")] = Path("penstock-data")
    models: Annotated[Path | None, Meta(description="Folder of model bundles; `models/` in the data folder unless given.")] = (
        None
    )
    registry: Annotated[
        Literal["folder", "mlflow"],
        Meta(
            description="The model registry: the folder of bundles, or MLflow, which uses that folder too unless"
            " `MLFLOW_TRACKING_URI` names a server."
        ),
    ] = "folder"
    follow_every_s: Annotated[
        Positive, Meta(description="Interval at which a service checks which model version is the champion, in seconds.")
    ] = 2.0
    lookups: Annotated[
        Path | None,
        Meta(
            description="Folder of the lookup files of built-in detectors: `IpAddress_to_Country` and `gdp_usd` (.csv,"
            " .parquet or .xlsx) for ecommerce."
        ),
    ] = None
    queue_limit: Annotated[
        int, Meta(ge=1, description="Maximum number of queued events; beyond it requests get 503 with `Retry-After`.")
    ] = 10_000
    max_batch: Annotated[int, Meta(ge=1, le=65536, description="Maximum number of events in a micro-batch.")] = 256
    max_body_bytes: Annotated[int, Meta(ge=1024, description="Maximum size of a request body, in bytes; beyond it 413.")] = (
        16 * 1024 * 1024
    )
    body_timeout_s: Annotated[
        Positive,
        Meta(description="Time limit for receiving a request body, in seconds; then 408, and the connection is closed."),
    ] = 30.0
    max_line_bytes: Annotated[
        int, Meta(ge=256, description="Maximum length of the request line and of each header, in bytes; beyond it 414 and 431.")
    ] = 16 * 1024
    max_head_bytes: Annotated[
        int, Meta(ge=1024, description="Maximum size of the request line and all headers together, in bytes; beyond it 431.")
    ] = 64 * 1024
    max_headers: Annotated[int, Meta(ge=8, description="Maximum number of headers; beyond it 431.")] = 100
    head_timeout_s: Annotated[
        Positive,
        Meta(
            description="Time limit for receiving the head of a request, also on a new connection, in seconds; then 408, and"
            " the connection is closed."
        ),
    ] = 10.0
    max_connections: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(
            description="Maximum number of open connections; beyond it 503. By default 10,000, or fewer if the system's limit"
            " of open files (`ulimit -n`) would leave none for the ledger.",
        ),
    ] = None
    acceptors: Annotated[
        int,
        Meta(
            ge=0,
            le=64,
            description="Number of processes that accept connections for `penstock serve` and pass `POST /predict` requests"
            " on to the process that decides; with 0 it accepts them itself.",
        ),
    ] = 0
    ledger: Annotated[
        str | None,
        Meta(
            description="Database for the ledger, `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`: an embedded service uses"
            " it instead of files in the data folder, a worker in addition to them."
        ),
    ] = None
    ledger_log: Annotated[
        str | None,
        Meta(
            description="The log to read if the database of `ledger` holds several: a service writes `engine`, a worker one"
            " named after its detector and shard. `penstock ledger status` lists them."
        ),
    ] = None
    office: Annotated[
        str | None,
        Meta(
            description="Database of users, keys, rules, lists, cases and the audit log,"
            " `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`, which several processes can share; `office.sqlite`"
            " in the data folder unless given."
        ),
    ] = None
    redis: Annotated[
        str | None,
        Meta(
            description="Redis database to which a worker, or a service without a broker, publishes the latest decisions and"
            " entity profiles, `redis://HOST:PORT/DATABASE`; none unless given."
        ),
    ] = None
    archive: Annotated[
        str | None,
        Meta(
            description="Destination of the Parquet archive of decisions: `s3://BUCKET/PREFIX?endpoint=URL&region=NAME`, with"
            " credentials from the AWS variables, or a folder. Only the data folder is written unless given."
        ),
    ] = None
    archive_every_s: Annotated[Positive, Meta(description="Maximum delay before a decision is archived, in seconds.")] = 300.0
    json_per_decision: Annotated[
        bool, Meta(description="Also archive each decision as a separate JSON object: `true` or `false`.")
    ] = False
    ledger_segment_mb: Annotated[
        int, Meta(ge=1, le=4096, description="Size at which a ledger file is sealed and a new one is started, in MiB.")
    ] = 64
    accept_loss: Annotated[
        bool,
        Meta(
            description="Start although acknowledged records of the ledger are missing or damaged; set it for one start only."
            " The damaged files are renamed to `*.lost`, and the audit log records it."
        ),
    ] = False
    quarantine_kept: Annotated[
        int,
        Meta(
            ge=1,
            description="Number of refused events kept in quarantine per detector: the newest, at most 4 KiB of each.",
        ),
    ] = 10_000
    compile_features: Annotated[
        bool,
        Meta(
            description="Compile the detector's features in a background process of the lowest priority, and switch to the"
            " compiled functions: same numbers, about half the time. They are cached for the next start: `true` or"
            " `false`."
        ),
    ] = True
    index_keys: Annotated[
        bool,
        Meta(
            description="Keep an index of entity keys for an embedded ledger, so that one decision of a long log is verified"
            " in milliseconds: `true` or `false`. Takes 20 bytes per event"
            " and entity, and a tenth of a core while it catches up."
        ),
    ] = True
    snapshot_every_s: Annotated[
        Positive,
        Meta(
            description="Least interval between snapshots of the feature state, in seconds."
            " One is written once 250,000 events have come since the last."
        ),
    ] = 60.0
    stop_within_s: Annotated[
        Positive,
        Meta(
            description="Time limit for a service, worker or trainer to stop after SIGTERM, SIGINT or SIGHUP, in seconds;"
            " work that still runs then is abandoned as by `kill -9`. At most 5 s during the start and after a"
            " second signal."
        ),
    ] = 30.0
    memory_limit_gb: Annotated[
        Positive | None,
        Meta(
            description="Memory limit for the feature state of a detector, in GiB; unlimited unless given. From 80 % of it"
            " on, new keys are not added: their events are decided by the policy's `on_failure`."
        ),
    ] = None
    personal_key_file: Annotated[
        Path | None,
        Meta(description="File with the key that hashes personal fields; created in the data folder unless given."),
    ] = None
    stream: Annotated[
        str | None,
        Meta(
            description="The broker that delivers events: `kafka://HOST:PORT` or `redis://HOST:PORT`; without it the service"
            " decides itself (embedded)."
        ),
    ] = None
    predict_budget_ms: Annotated[
        Positive,
        Meta(description="How long `/predict` waits for the worker behind a broker, in ms; then `on_timeout` applies."),
    ] = 100.0
    on_timeout: Annotated[
        Literal["approve", "review", "block", "provisional"] | None,
        Meta(
            description="The answer of `/predict` if the worker behind a broker misses the deadline; `provisional` is scored"
            " from the service's copy of the state, and the worker's decision remains final. The detector's policy"
            " decides unless given."
        ),
    ] = None
    worker_grace: Annotated[
        Positive,
        Meta(
            description="How long a service stays ready without hearing from a worker, in seconds; set it longer than a"
            " takeover takes. Callers get the answer of `on_timeout`; with `provisional` the service stays ready."
        ),
    ] = 30.0
    workers: Annotated[
        str | None,
        Meta(
            description="Addresses at which workers answer `/health`, as HOST:PORT separated by commas; a service asks them"
            " for the status of workers and their stores."
        ),
    ] = None
    shard_key: Annotated[
        str | None,
        Meta(description="The field that is the key of messages if the inbox has several partitions."),
    ] = None
    alerts: Annotated[
        Path | None,
        Meta(
            description="File with alert rules and channels, or `defaults` for the rules of Penstock and the detectors; by"
            " default `penstock.toml` if it has tables `[[alerts]]`. Unless given, default rules raise"
            " alerts once a channel is set up while the service runs; a worker raises none."
        ),
    ] = None
    deliver: Annotated[
        bool,
        Meta(
            description="Deliver webhooks and alerts to their receivers: `true` or `false`. With `false` (`--no-deliver`) they"
            " wait: for a copy of a data folder that is served next to the original."
        ),
    ] = True
    case_sample: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Share of decisions other than reviews that become cases, as a random sample by transaction id.",
        ),
    ] = 0.001
    case_lock_minutes: Annotated[Positive, Meta(description="How long an analyst keeps a case that they took, in minutes.")] = (
        15.0
    )
    webhook_private: Annotated[
        bool,
        Meta(
            description="Deliver webhooks, and alerts of channels that are set up while the service runs, to addresses that"
            " are not public, and to `http://` as well: for receivers in your own network. Users who may add endpoints can then"
            " send requests into it."
        ),
    ] = False
    webhook_failing_days: Annotated[
        Positive, Meta(description="After how many days without a delivery a webhook is reported as failing.")
    ] = 3.0
    four_eyes: Annotated[
        bool,
        Meta(
            description="Require a second person: the author of a rule or feature version, or of a model trial, cannot put it"
            " into force; another person must approve the request: `true` or `false`."
        ),
    ] = False
    drift_every_s: Annotated[
        Positive,
        Meta(description="Interval at which live traffic is compared with the training data (drift), in seconds."),
    ] = 3600.0
    max_refused: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Maximum share of refused rows in recorded data; a command that reads more refused rows fails with"
            " the causes.",
        ),
    ] = 0.01
    replays: Annotated[
        dict[str, Path],
        Meta(description="Recorded files that `POST /stream` may replay, by name (a table)."),
    ] = {}
    open_access: Annotated[
        bool,
        Meta(
            description="Require no key although other machines reach the address, until the first key or user is created:"
            " `true` or `false`. For closed networks."
        ),
    ] = False
    allowed_hosts: Annotated[
        str | None,
        Meta(
            description="Host names, separated by commas, that an open service accepts in addition to this machine's"
            " (`localhost`, 127.0.0.0/8, `[::1]`) and `host`; others get 421, which prevents DNS rebinding."
        ),
    ] = None
    rate_limit: Annotated[
        Positive | None, Meta(description="Requests per second allowed for each API key; unlimited unless given.")
    ] = None
    rate_burst: Annotated[
        int, Meta(ge=1, description="Number of requests that an API key may make at once, beyond its rate.")
    ] = 100
    trusted_proxies: Annotated[
        str,
        Meta(
            description="Addresses and networks of trusted proxies, separated by spaces. Their `X-Forwarded-For` gives the"
            " client's address for limits and the log of sign-ins."
        ),
    ] = ""
    oidc_issuer: Annotated[
        str | None,
        Meta(
            description="Issuer URL of an OpenID Connect provider whose users may sign in and whose clients may send its"
            " tokens; the service then always requires credentials."
        ),
    ] = None
    oidc_client_id: Annotated[str | None, Meta(description="Client id of the service at the identity provider.")] = None
    oidc_client_secret: Annotated[
        str | None,
        Meta(
            description="Client secret of the service at the identity provider; none for a public client.",
            extra={"secret": True},
        ),
    ] = None
    oidc_audience: Annotated[
        str | None,
        Meta(description="Audience required in tokens of clients; `oidc_client_id` unless given."),
    ] = None
    oidc_scopes: Annotated[str, Meta(description="Scopes requested from the identity provider.")] = "openid profile email"
    oidc_roles_claim: Annotated[
        str, Meta(description="Claim with the roles or groups of a user; nested as in `realm_access.roles`.")
    ] = "roles"
    oidc_roles: Annotated[
        dict[str, str],
        Meta(
            description="Roles by value of that claim (a table), several separated by spaces; unless given, the values are"
            " taken as names of roles."
        ),
    ] = {}
    public_url: Annotated[
        str | None,
        Meta(
            description="URL under which browsers reach the service, if a proxy changes the host; taken from requests unless"
            " given."
        ),
    ] = None
    key: Annotated[
        str | None,
        Meta(
            description="API key that commands send to a service: `send`, `simulate`, `loadtest`, `labels import`. Prefer the"
            " variable: other users of the machine can see flags.",
            extra={"secret": True},
        ),
    ] = None
    traces: Annotated[
        str | None,
        Meta(
            description="OTLP endpoint for traces (HTTP), `http://HOST:4318`; none unless given here or by"
            " `OTEL_EXPORTER_OTLP_ENDPOINT`."
        ),
    ] = None
    trace_share: Annotated[
        float, Meta(ge=0, le=1, description="Share of requests, and of a worker's micro-batches, to trace.")
    ] = 0.01
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Meta(description="Minimum level of log messages.")] = (
        "info"
    )
    log_format: Annotated[Literal["text", "json"], Meta(description="Log format: text lines, or one JSON object per line.")] = (
        "text"
    )

    def __repr__(self) -> str:
        given = {field.name: getattr(self, field.name) for field in msgspec.structs.fields(self)}
        said = (f"{name}={_said(name, value)}" for name, value in given.items())
        return f"Settings({', '.join(said)})"

    @property
    def models_folder(self) -> Path:
        """The folder of model bundles."""
        return self.models if self.models is not None else self.data / "models"


class Setting(msgspec.Struct, frozen=True):
    """A setting as documentation and error messages show it."""

    name: str
    allowed: str
    default: Any
    description: str
    secret: bool = False


def _said(name: str, value: Any) -> str:
    """A value for messages; secrets are hidden."""
    if value is not None and name in _SECRET:
        return "***"
    return repr(shown_url(value) if isinstance(value, str) else value)


def describe() -> list[Setting]:
    """All settings in the order of declaration."""
    return [_setting(field) for field in msgspec.structs.fields(Settings)]


def load_settings(
    flags: Mapping[str, Any] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Settings:
    """Load the settings.

    Args:
        flags: of the command line; None values are ignored.
        environment: the process's environment unless given.
        folder: with `.env` and `penstock.toml`; by default the current one.

    Raises:
        ConfigurationError: naming the source, the key, the value and what is allowed.
    """
    folder = Path() if folder is None else folder
    merged: dict[str, Any] = {}
    for place, values in _sources(flags or {}, os.environ if environment is None else environment, folder):
        merged |= {name: _checked(name, value, place) for name, value in values.items()}
    return Settings(**merged)


def _sources(flags: Mapping[str, Any], environment: Mapping[str, str], folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name for messages, values by setting) of each source, lowest precedence first."""
    yield str(folder / FILE), _from_file(folder / FILE)
    yield str(folder / ".env"), _from_variables(_from_dotenv(folder / ".env"))
    yield "the environment", _from_variables(environment)
    yield "the command line", {name: value for name, value in flags.items() if value is not None}


def _from_file(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from error
    if isinstance(values.get("alerts", []), list) and _ALERTS & values.keys():
        values = {name: value for name, value in values.items() if name not in _ALERTS} | {"alerts": str(path)}
    for name in values:
        if name not in Settings.__struct_fields__:
            raise ConfigurationError(f"{path}: there is no setting {name!r}.{did_you_mean(name, Settings.__struct_fields__)}")
    return values


def _from_dotenv(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    from dotenv import dotenv_values

    return {name: value for name, value in dotenv_values(path).items() if value is not None}


def _from_variables(variables: Mapping[str, str]) -> dict[str, Any]:
    named = {name: variables.get(PREFIX + name.upper(), "") for name in Settings.__struct_fields__}
    return {name: value for name, value in named.items() if value != ""}


def _checked(name: str, value: Any, place: str) -> Any:
    field = next(field for field in msgspec.structs.fields(Settings) if field.name == name)
    try:
        return msgspec.convert(_table(value, field.type), prepared(field.type), strict=False, dec_hook=_path)
    except (msgspec.ValidationError, TypeError) as error:
        shown = _variable_or_key(name, place)
        raise ConfigurationError(
            f"{place}: {shown} = {_said(name, value)} cannot be used; allowed is {_setting(field).allowed}"
        ) from error


def _table(value: Any, kind: Any) -> Any:
    """Parse a table from one text, as in the environment: name=value,name=value."""
    found: Any = msgspec.inspect.type_info(kind)
    if not (isinstance(value, str) and isinstance(found.type, msgspec.inspect.DictType)):
        return value
    pairs = [part.partition("=") for part in value.split(",")]
    return {name.strip(): given.strip() for name, mark, given in pairs if mark} if all(mark for _, mark, _ in pairs) else value


def _variable_or_key(name: str, place: str) -> str:
    if place == "the command line":
        return "--" + name.replace("_", "-")
    return name if place.endswith(FILE) else PREFIX + name.upper()


def _path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str | Path):
        return Path(value)
    raise TypeError


def _setting(field: msgspec.structs.FieldInfo) -> Setting:
    kind: Any = msgspec.inspect.type_info(field.type)
    description = kind.extra_json_schema["description"]
    return Setting(field.name, _allowed(kind.type), field.default, description, bool((kind.extra or {}).get("secret")))


def _allowed(kind: Any) -> str:
    match kind:
        case msgspec.inspect.UnionType(types=types):
            return " or ".join(_allowed(part) for part in types if not isinstance(part, msgspec.inspect.NoneType))
        case msgspec.inspect.Metadata(type=inner):
            return _allowed(inner)
        case msgspec.inspect.LiteralType(values=values):
            return "one of " + ", ".join(str(value) for value in values)
        case msgspec.inspect.IntType():
            return "a whole number" + _range(kind)
        case msgspec.inspect.FloatType():
            return "a number" + _range(kind)
        case msgspec.inspect.DictType(value_type=inner):
            return f"names, each with {_allowed(inner)}; in the environment `name=value,name=value`"
        case msgspec.inspect.CustomType():
            return "a path"
        case msgspec.inspect.BoolType():
            return "true or false"
        case _:
            return "a text"


def _range(kind: Any) -> str:
    if kind.ge is not None and kind.le is not None:
        return f" from {kind.ge} to {kind.le}"
    if kind.ge is not None:
        return f" of at least {kind.ge}"
    return f" greater than {kind.gt:g}" if kind.gt is not None else ""


_SECRET = frozenset(setting.name for setting in describe() if setting.secret)
