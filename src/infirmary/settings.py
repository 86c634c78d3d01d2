"""What an installation decides: one TOML file, or environment variables that begin with INFIRMARY_."""
from __future__ import annotations

from contextlib import suppress
from enum import StrEnum
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct

from infirmary.kernel import settings
from infirmary.language import STAFF_ROLES, Role

LOOPBACK = ("127.0.0.1", "::1")
SHORTEST_SECRET = 32   # characters


class Environment(StrEnum):
    DEMO = "demo"               # a made-up hospital on this machine, with its sign-ins printed
    DEVELOPMENT = "development"
    PRODUCTION = "production"


class Hospital(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: str = "Harbour Lane Hospital"
    address: str = "Harbour Lane 4, 10 000 Port Ellen"
    phone: str = "+353 1 555 010"
    emergency: str = "112"
    zone: str = "Europe/Dublin"
    majority: Annotated[int, Meta(ge=12, le=25)] = 18   # years; who is younger is a child, for whom parents act

    @property
    def tz(self) -> ZoneInfo:
        return ZoneInfo(self.zone)


class Mail(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where e-mail goes. `port` 0: a catcher inside the one process, whose mails admin reads in the browser; with
    several processes nothing catches them, and they wait for a mail server."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 0
    sender: str = "no-reply@infirmary.localhost"
    username: str = ""
    password_file: str = ""
    starttls: bool = False


class Sms(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where text messages go. Without a `url` they go where e-mail is caught (`mail.port` 0), or else there are none, and
    nobody is offered any."""

    # A gateway: {"to": "+353…", "text": "…"} is POSTed to it, with the token and an Idempotency-Key. It answers 2xx when it has
    # taken the message, and takes one with the same key once.
    url: Annotated[str, Meta(pattern=r"^(https?://[^\s#]+)?$", max_length=2000)] = ""
    token_file: str = ""   # holds the bearer token; read at each message, so that it may change without a restart
    # Whose numbers are written to (ISO 3166, with commas), as calls abroad are dear; empty: those of the hospital's own phone.
    countries: Annotated[str, Meta(pattern=r"^([A-Z]{2}(,[A-Z]{2})*)?$")] = ""


class OpenIdProvider(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A provider of OpenID Connect that people may sign in with. There, {public_url}/auth/oidc/{its key here}/callback is
    registered as where to come back to."""

    name: Annotated[str, Meta(min_length=1, max_length=60)]   # "Sign in with …"
    issuer: Annotated[str, Meta(pattern=r"^https?://[^\s?#]+$", max_length=255)]   # to the letter, as it calls itself
    client_id: Annotated[str, Meta(min_length=1, max_length=255)]
    secret_file: str       # holds the client's secret
    newcomers: bool = True   # whether those whom nobody here knows may register as patients


class Video(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the browsers of a video visit find a way to each other. All empty: directly, which does within one network."""

    # Servers that tell a browser its own public address (RFC 8489): stun:host:port, with commas.
    stun: Annotated[str, Meta(pattern=r"^(stuns?:[^,\s]+(,\s*stuns?:[^,\s]+)*)?$")] = ""
    # Relays for those who cannot reach each other (RFC 8656): turn:host:port?transport=udp, with commas. coturn takes our
    # credentials with `use-auth-secret` and `static-auth-secret`; the file holds the same secret.
    turn: Annotated[str, Meta(pattern=r"^(turns?:[^,\s]+(,\s*turns?:[^,\s]+)*)?$")] = ""
    turn_secret_file: str = ""


class Imports(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How much one table of people may hold, and for how many days what its rows said is kept once nobody works on it."""

    most_bytes: Annotated[int, Meta(ge=1_000, le=100_000_000)] = 5_000_000
    most_rows: Annotated[int, Meta(ge=1, le=200_000)] = 20_000
    kept_days: Annotated[int, Meta(ge=1, le=366)] = 30


class Services(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the parts find each other when they are separate processes. All empty: one process, which needs none of it;
    it may be traced, though."""

    bus: str = ""        # kafka://host:port[,host:port]
    registry: str = ""   # etcd://host:port | dns://{service}:8000 | static://identity=http://host:port,patients=...
    config: str = ""     # etcd://host:port, or a folder whose files are watched
    advertise: str = ""  # where others reach this process (http://host:port); empty: where it listens
    # Whose word about the client's address is taken (X-Forwarded-For), and who may read /metrics: networks, with commas.
    internal: str = "127.0.0.0/8,::1/128"
    gateway: bool = False   # whether requests come through a gateway, which then names the client
    # Where traces go: a collector that speaks OTLP over HTTP (http://host:4318). Empty: nothing is traced.
    traces: Annotated[str, Meta(pattern=r"^(http://[^/@\s]+)?$")] = ""
    trace_share: Annotated[float, Meta(ge=0, le=1)] = .1   # of the traces, how many are kept


class Settings(Struct, frozen=True, dict=True, forbid_unknown_fields=True, kw_only=True):
    environment: Environment = Environment.DEVELOPMENT
    data: str = "data"                        # folder for databases, keys and the installation's secret
    database: str = "sqlite://{data}/{context}.db"   # one database per context; {context} must appear
    public_url: str = "http://127.0.0.1:8000"
    log_level: str = "info"
    workers: Annotated[int, Meta(ge=1, le=64)] = 1   # processes that serve; the command line says how many
    hospital: Hospital = Hospital()
    mail: Mail = Mail()
    sms: Sms = Sms()
    oidc: dict[Annotated[str, Meta(pattern="^[a-z0-9_-]{1,40}$")], OpenIdProvider] = {}   # by how addresses call it
    video: Video = Video()
    imports: Imports = Imports()
    # Roles for which a code by e-mail or text message is too little besides the password: others may catch those, telephone
    # networks in particular (NIST SP 800-63B-4, 3.1.3.3). Authenticator apps and passkeys are for everybody.
    strong_factor: tuple[Role, ...] = STAFF_ROLES
    breached_passwords: str = ""   # file of published passwords, as Have I Been Pwned's downloader writes it (SHA-1)
    secret_file: str = ""   # the installation's secret, 32 bytes that all its processes share; empty: {data}/secret
    services: Services = Services()

    def database_url(self, context: str) -> str:
        return self.database.format(data=self.data, context=context)

    def is_internal(self, address: str) -> bool:
        """Whether this is an address of our own networks."""
        networks = self._internal
        with suppress(ValueError):
            asked = ip_address(address)
            return any(asked in network for network in networks)
        return False

    @cached_property
    def _internal(self) -> list[IPv4Network | IPv6Network]:
        return [ip_network(one.strip()) for one in self.services.internal.split(",") if one.strip()]

    @property
    def folder(self) -> Path:
        return Path(self.data)

    @property
    def production(self) -> bool:
        return self.environment is Environment.PRODUCTION

    @property
    def texts(self) -> bool:
        """Whether there are text messages."""
        return bool(self.sms.url) or self.mail.port == 0

    @property
    def passkey_host(self) -> str:
        """The name that passkeys are made for (WebAuthn's RP ID). An address is none; this machine's is `localhost`."""
        host = urlsplit(self.public_url).hostname or ""
        return "localhost" if host in LOOPBACK else host

    @property
    def passkey_origin(self) -> str:
        """Where pages must be that use them: scheme, name, and the port unless it is the usual one."""
        url = urlsplit(self.public_url)
        usual = {"https": 443, "http": 80}.get(url.scheme)
        return f"{url.scheme}://{self.passkey_host}" + (f":{url.port}" if url.port not in (None, usual) else "")

    def _weak_gateway(self) -> list[str]:
        found = []
        gateway = urlsplit(self.sms.url)
        if gateway.scheme == "http" and gateway.hostname not in LOOPBACK:
            found.append("sms.url must begin with https://, or lead to this machine")
        if self.sms.url and not _says_something(Path(self.sms.token_file)):
            found.append("sms.token_file must be a file that holds the gateway's token")
        return found

    def weaknesses(self) -> list[str]:
        """Why a production start must be refused; empty when it may go ahead."""
        found = []
        if not self.public_url.startswith("https://"):
            found.append("public_url must begin with https://")
        if _is_address(self.passkey_host) or self.passkey_host in ("", "localhost"):
            found.append("public_url must hold the hospital's name, not an address: passkeys are made for a name")
        if "{context}" not in self.database:
            found.append("database must contain {context}: each context has a database of its own")
        if self.mail.port == 0:
            found.append("mail.port is 0: a production hospital needs a real mail server")
        found += self._weak_gateway()
        for key, provider in self.oidc.items():
            if not provider.issuer.startswith("https://"):
                found.append(f"oidc.{key}.issuer must begin with https://")
            if not _says_something(Path(provider.secret_file)):
                found.append(f"oidc.{key}.secret_file must be a file that holds the client's secret")
        if self.video.turn and not _says_something(Path(self.video.turn_secret_file), SHORTEST_SECRET):
            found.append(f"video.turn needs video.turn_secret_file, of {SHORTEST_SECRET} characters or more: without a "
                         "secret everybody may use the relay")
        if self.log_level == "debug":
            found.append("log_level must not be debug")
        return found


def _is_address(host: str) -> bool:
    with suppress(ValueError):
        return bool(ip_address(host))
    return False


def load(file: Path | None = None, **overrides: Any) -> Settings:
    """Settings from the file, the environment and the command line, in this order of increasing weight."""
    made = settings.load(Settings, prefix="INFIRMARY", file=file, **overrides)
    try:
        ZoneInfo(made.hospital.zone)
    except (KeyError, ValueError, OSError) as error:
        raise settings.SettingsRefused(f"hospital.zone: {made.hospital.zone!r} is no IANA time zone") from error
    try:
        made.is_internal("127.0.0.1")
    except ValueError as error:
        raise settings.SettingsRefused(f"services.internal: {error}") from error
    if made.production and (weak := made.weaknesses()):
        raise settings.SettingsRefused("A production hospital does not start like this: " + "; ".join(weak))
    return made


def _says_something(file: Path, least: int = 1) -> bool:
    with suppress(OSError, UnicodeDecodeError):
        return len(file.read_text().strip()) >= least
    return False
