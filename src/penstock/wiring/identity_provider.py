"""The identity provider in the settings."""

from penstock.adapters.oidc import OidcProvider
from penstock.config import Settings
from penstock.errors import ConfigurationError
from penstock.identity.provider import AGAIN_S, Provider


def open_provider(settings: Settings, *, again_s: float = AGAIN_S) -> Provider | None:
    """The identity provider; None if none is configured. again_s: see `AGAIN_S`.

    Raises:
        ConfigurationError: the settings contradict each other.
    """
    if settings.oidc_issuer is None:
        return None
    if settings.oidc_client_id is None:
        raise ConfigurationError(
            "oidc_issuer names a provider and oidc_client_id is missing: what is this service called there?"
        )
    return OidcProvider(
        settings.oidc_issuer,
        settings.oidc_client_id,
        settings.oidc_client_secret,
        audience=settings.oidc_audience,
        scopes=settings.oidc_scopes,
        again_s=again_s,
    )
