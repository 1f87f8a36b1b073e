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

from penstock.errors import ConfigurationError, did_you_mean, shown_url

PREFIX = "PENSTOCK_"
FILE = "penstock.toml"
_ALERTS = {"alerts", "channels", "alerting"}
"""Tables that `penstock.alerts` reads; where they stand in penstock.toml, the setting `alerts` names that file."""


Positive = Annotated[float, Meta(gt=0)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set from outside.

    >>> Settings(port=9000).port
    9000
    """

    host: Annotated[str, Meta(description="Address the service listens on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port the service listens on; 0 takes a free one.")] = 8000
    data: Annotated[
        Path, Meta(description="Folder that holds everything kept on disk: `ledger/`, `state/`, `models/`, `archive/`.")
    ] = Path("penstock-data")
    models: Annotated[Path | None, Meta(description="Folder of model bundles; `models/` in the data folder unless given.")] = (
        None
    )
    registry: Annotated[
        Literal["folder", "mlflow"],
        Meta(
            description="Where versions of models and their aliases are kept: the folder of bundles, or MLflow, in that"
            " folder too unless `MLFLOW_TRACKING_URI` names a server."
        ),
    ] = "folder"
    follow_every_s: Annotated[
        Positive, Meta(description="Time between a service's looks at which version is the champion, in seconds.")
    ] = 2.0
    lookups: Annotated[
        Path | None,
        Meta(
            description="Folder with the files that built-in detectors look values up in:"
            " `IpAddress_to_Country` and `gdp_usd` (.csv, .parquet or .xlsx) for ecommerce."
        ),
    ] = None
    queue_limit: Annotated[
        int, Meta(ge=1, description="Events that may wait to be decided; beyond it requests get 503 with `Retry-After`.")
    ] = 10_000
    max_batch: Annotated[int, Meta(ge=1, le=65536, description="Most events decided together in one micro-batch.")] = 256
    max_body_bytes: Annotated[int, Meta(ge=1024, description="Largest request body that is read, in bytes; beyond it 413.")] = (
        16 * 1024 * 1024
    )
    body_timeout_s: Annotated[
        Positive,
        Meta(description="How long the body of a request may take, in seconds; then 408, and the connection is closed."),
    ] = 30.0
    max_line_bytes: Annotated[
        int, Meta(ge=256, description="Longest request line and longest header, in bytes; beyond it 414 and 431.")
    ] = 16 * 1024
    max_head_bytes: Annotated[
        int, Meta(ge=1024, description="Longest head of a request, its line and headers together, in bytes; beyond it 431.")
    ] = 64 * 1024
    max_headers: Annotated[int, Meta(ge=8, description="Most headers of a request; beyond it 431.")] = 100
    head_timeout_s: Annotated[
        Positive,
        Meta(
            description="How long the head of a request may take, and a new connection may say nothing, in seconds; then 408,"
            " and the connection is closed."
        ),
    ] = 10.0
    max_connections: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(
            description="Most connections that are open at a time; beyond it 503. Unless given 10,000, and never so many that"
            " the system's limit of file handles (`ulimit -n`) leaves none for the ledger.",
        ),
    ] = None
    ledger: Annotated[
        str | None,
        Meta(
            description="Database that holds the ledger, `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`: of an embedded"
            " service in place of files in the data folder, of a worker beside them."
        ),
    ] = None
    ledger_log: Annotated[
        str | None,
        Meta(
            description="Log of the database to read, where `ledger` holds several: a service writes `engine`, a worker one"
            " named for its detector and shard. `penstock ledger status` lists them."
        ),
    ] = None
    office: Annotated[
        str | None,
        Meta(
            description="Database that holds users, keys, rules, lists, cases and the log of changes,"
            " `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`, for several processes to share; `office.sqlite` in the data"
            " folder unless given."
        ),
    ] = None
    redis: Annotated[
        str | None,
        Meta(
            description="Where a worker, or a service without a broker, publishes the latest decisions and the profiles of"
            " keys, `redis://HOST:PORT/DATABASE`; nowhere unless given."
        ),
    ] = None
    archive: Annotated[
        str | None,
        Meta(
            description="Where every decision is archived as Parquet: `s3://BUCKET/PREFIX?endpoint=URL&region=NAME`, with"
            " keys from the usual AWS variables, or a folder. Nothing is archived beyond the data folder unless given."
        ),
    ] = None
    archive_every_s: Annotated[Positive, Meta(description="Longest time that a decision waits to be archived, in seconds.")] = (
        300.0
    )
    json_per_decision: Annotated[
        bool, Meta(description="Archive every decision as a JSON object of its own, too: `true` or `false`.")
    ] = False
    ledger_segment_mb: Annotated[
        int, Meta(ge=1, le=4096, description="Size at which a ledger file is sealed and the next one begun, in MiB.")
    ] = 64
    accept_loss: Annotated[
        bool,
        Meta(
            description="For one start: go on though acknowledged records of the ledger are missing or damaged. What is left of"
            " them is put aside as `*.lost`, and the log of changes says so."
        ),
    ] = False
    quarantine_kept: Annotated[
        int,
        Meta(
            ge=1,
            description="Refused events kept for people to look at: of each detector the newest, at most 4 KiB of each.",
        ),
    ] = 10_000
    compile_features: Annotated[
        bool,
        Meta(
            description="Compile functions from the detector's features while a service or a worker decides already, in a"
            " process of the lowest priority, and go on with them: the same numbers, in about half the time. They are kept"
            " beside the compiled kernels, so that the next start has them at once: `true` or `false`."
        ),
    ] = True
    snapshot_every_s: Annotated[Positive, Meta(description="Time between snapshots of the state, in seconds.")] = 60.0
    stop_within_s: Annotated[
        Positive,
        Meta(
            description="Longest time that a service, a worker or a trainer takes to stop after SIGTERM, SIGINT or SIGHUP, in"
            " seconds; what still runs then is abandoned as by `kill -9`. At most 5 s while it starts, and after a second"
            " signal."
        ),
    ] = 30.0
    memory_limit_gb: Annotated[
        Positive | None,
        Meta(
            description="Most memory the features of all keys of a detector may take, in GiB; unlimited unless given. New keys"
            " are turned away at four fifths of it: their events are decided by the policy's `on_failure`."
        ),
    ] = None
    personal_key_file: Annotated[
        Path | None,
        Meta(description="File with the key that personal fields are hashed with; made in the data folder unless given."),
    ] = None
    stream: Annotated[
        str | None,
        Meta(
            description="The broker that events come from: `kafka://HOST:PORT` or `redis://HOST:PORT`; the service is embedded"
            " unless given."
        ),
    ] = None
    predict_budget_ms: Annotated[
        Positive,
        Meta(description="How long a caller of `/predict` waits for a worker behind a broker, before `on_timeout`."),
    ] = 100.0
    on_timeout: Annotated[
        Literal["approve", "review", "block", "provisional"] | None,
        Meta(
            description="What a caller of `/predict` gets where a worker behind a broker does not decide in time;"
            " `provisional` is scored at once from what the service last heard, and the worker's decision stands. What the"
            " detector's policy names unless given."
        ),
    ] = None
    worker_grace: Annotated[
        Positive,
        Meta(
            description="How long a service behind a broker stays ready without a sign of life from a worker, in seconds;"
            " longer than a takeover takes. Callers get what `on_timeout` names; with `provisional` the"
            " service stays ready."
        ),
    ] = 30.0
    workers: Annotated[
        str | None,
        Meta(
            description="Addresses at which workers answer `/health`, HOST:PORT with commas between them; a service beside them"
            " asks there how they and their stores fare."
        ),
    ] = None
    shard_key: Annotated[
        str | None,
        Meta(description="The field that messages are keyed by, where the inbox has several partitions."),
    ] = None
    alerts: Annotated[
        Path | None,
        Meta(
            description="File with rules of alerting and channels, or `defaults` for the rules that come with Penstock and the"
            " detectors; `penstock.toml` where it has tables `[[alerts]]`. Nothing is raised unless given."
        ),
    ] = None
    case_sample: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Share of the decisions that are no reviews and become cases all the same, chosen at random by the"
            " transaction's id.",
        ),
    ] = 0.001
    case_lock_minutes: Annotated[Positive, Meta(description="How long a case stays with whoever has taken it, in minutes.")] = (
        15.0
    )
    four_eyes: Annotated[
        bool,
        Meta(
            description="Whoever wrote a version of a rule or a feature, or began the trial of a model, is not the one who lets"
            " it decide: what that person asks for waits until another one approves it: `true` or `false`."
        ),
    ] = False
    drift_every_s: Annotated[
        Positive,
        Meta(
            description="Time between looks at whether live traffic has drifted from what models were trained on, in seconds."
        ),
    ] = 3600.0
    max_refused: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Share of the rows of recorded data that may be refused because they are no events; a command that"
            " reads data of which more is refused says why, and fails.",
        ),
    ] = 0.01
    replays: Annotated[
        dict[str, Path],
        Meta(description="Recorded files that `POST /stream` may replay, by the name that a request calls them (a table)."),
    ] = {}
    open_access: Annotated[
        bool,
        Meta(
            description="Ask nobody for a key though others than this machine reach the address, until the first key or user"
            " is made: `true` or `false`. For a network that is closed itself."
        ),
    ] = False
    allowed_hosts: Annotated[
        str | None,
        Meta(
            description="Names with commas between them under which an open service may be asked, besides those of this machine"
            " (`localhost`, 127.0.0.0/8, `[::1]`) and `host`; others get 421, so that no page elsewhere reaches it by a name"
            " of its own."
        ),
    ] = None
    rate_limit: Annotated[
        Positive | None, Meta(description="Requests a second that one API key may make; unlimited unless given.")
    ] = None
    rate_burst: Annotated[int, Meta(ge=1, description="Requests that an API key may make at once, beyond its rate.")] = 100
    trusted_proxies: Annotated[
        str,
        Meta(
            description="Addresses and networks of the proxies in front, with spaces between them. From them `X-Forwarded-For`"
            " is believed, so that limits and the log of sign-ins are about the client's address and not about the proxy's."
        ),
    ] = ""
    oidc_issuer: Annotated[
        str | None,
        Meta(
            description="Address of an identity provider (OpenID Connect), as its tokens name it, whose people may sign in and"
            " whose programs may show its tokens; the service is closed then."
        ),
    ] = None
    oidc_client_id: Annotated[str | None, Meta(description="What the service is called at the identity provider.")] = None
    oidc_client_secret: Annotated[
        str | None,
        Meta(description="Password of the service at the identity provider; none for a public client.", extra={"secret": True}),
    ] = None
    oidc_audience: Annotated[
        str | None,
        Meta(description="For whom the tokens of programs are that are accepted; `oidc_client_id` unless given."),
    ] = None
    oidc_scopes: Annotated[str, Meta(description="What the identity provider is asked to tell of people.")] = (
        "openid profile email"
    )
    oidc_roles_claim: Annotated[
        str, Meta(description="Claim that names roles or groups; inside another one as `realm_access.roles`.")
    ] = "roles"
    oidc_roles: Annotated[
        dict[str, str],
        Meta(
            description="Roles here by values of that claim (a table), several with spaces between them; unless given, values"
            " that are names of roles are these."
        ),
    ] = {}
    public_url: Annotated[
        str | None,
        Meta(
            description="Address under which browsers reach the service, where a proxy changes the host; taken from requests"
            " unless given."
        ),
    ] = None
    key: Annotated[
        str | None,
        Meta(
            description="API key that commands show to a service: `send`, `simulate`, `loadtest`, `labels import`. Better a"
            " variable than a flag, which others on the machine can see.",
            extra={"secret": True},
        ),
    ] = None
    traces: Annotated[
        str | None,
        Meta(
            description="Where traces are sent by OTLP over HTTP, `http://HOST:4318`; nowhere unless given here or by"
            " `OTEL_EXPORTER_OTLP_ENDPOINT`."
        ),
    ] = None
    trace_share: Annotated[
        float, Meta(ge=0, le=1, description="Share of requests, and of a worker's micro-batches, that are traced.")
    ] = 0.01
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Meta(description="The least that is logged.")] = "info"
    log_format: Annotated[Literal["text", "json"], Meta(description="Lines for people, or one JSON object each.")] = "text"

    def __repr__(self) -> str:
        given = {field.name: getattr(self, field.name) for field in msgspec.structs.fields(self)}
        said = (f"{name}={_said(name, value)}" for name, value in given.items())
        return f"Settings({', '.join(said)})"

    @property
    def models_folder(self) -> Path:
        """Where model bundles are kept."""
        return self.models if self.models is not None else self.data / "models"


class Setting(msgspec.Struct, frozen=True):
    """The description of one setting, for the documentation and for error messages."""

    name: str
    allowed: str
    default: Any
    description: str
    secret: bool = False


def _said(name: str, value: Any) -> str:
    """A value for messages, with secrets removed."""
    if value is not None and name in _SECRET:
        return "***"
    return repr(shown_url(value) if isinstance(value, str) else value)


def describe() -> list[Setting]:
    """Every setting, in the order of their declaration."""
    return [_setting(field) for field in msgspec.structs.fields(Settings)]


def load_settings(
    flags: Mapping[str, Any] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Settings:
    """The settings in force.

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
    """The sources, weakest first, each as its name for messages and its values by setting."""
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
        return msgspec.convert(_table(value, field.type), field.type, strict=False, dec_hook=_path)
    except (msgspec.ValidationError, TypeError) as error:
        shown = _variable_or_key(name, place)
        raise ConfigurationError(
            f"{place}: {shown} = {_said(name, value)} cannot be used; allowed is {_setting(field).allowed}"
        ) from error


def _table(value: Any, kind: Any) -> Any:
    """A table written as one text, as the environment has it: name=value,name=value."""
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
