"""The rules of the door: which passwords will do, which roles go with whom, how long a sign-in lasts, how often to try."""
from __future__ import annotations

import base64
import hashlib
import hmac
import re
import unicodedata
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple
from uuid import UUID

import pyotp
from msgspec import UNSET, Struct, structs

from infirmary.contexts.identity.contract import AmendAccount, RegisterPatient, RoleNeedsPerson, WeakPassword
from infirmary.kernel.errors import FieldError
from infirmary.language import ADMIN, DOCTOR, PATIENT, SERVICE, STAFF_ROLES, Role, folded

KEY_LENGTH = 191      # of a text that is indexed
SEARCH_LENGTH = 800

INVITED_FOR = timedelta(days=7)
RESET_WITHIN = timedelta(minutes=60)
CLAIMED_FOR = timedelta(seconds=30)   # longer than anybody waits for the register of patients to answer
REUSE_GRACE = timedelta(seconds=10)   # the answer with the new refresh token may have been lost on the way


class State(StrEnum):
    PENDING = "pending"   # the e-mail address is taken, the patient not yet enrolled
    ACTIVE = "active"
    DISABLED = "disabled"


class Standing(Struct, frozen=True, kw_only=True):
    """What may change about an account."""

    name: str
    roles: frozenset[Role]
    disabled: bool
    patient_id: UUID | None
    doctor_id: UUID | None
    staff_id: UUID | None

    @property
    def links(self) -> tuple[UUID | None, ...]:
        return self.patient_id, self.doctor_id, self.staff_id


class Limit(NamedTuple):
    """So many in that time; the time begins with the first."""

    tries: int
    window: timedelta


TRIES_PER_ACCOUNT = Limit(10, timedelta(minutes=15))
PER_ADDRESS = Limit(50, timedelta(minutes=15))
PER_ADDRESS_HERE = Limit(5_000, timedelta(minutes=15))   # this machine, where load tests come from
TRIES_PER_DEVICE = Limit(10, timedelta(minutes=15))   # that signed in to the account before; then it is a stranger's
TRIES_OVERALL = Limit(1_000, timedelta(minutes=1))
CODES_PER_ACCOUNT = Limit(10, timedelta(minutes=15))
CODES_IN_A_ROW = Limit(100, timedelta(days=30))   # NIST SP 800-63B, 3.2.2: no more wrong ones than this on end
MAILS_PER_ACCOUNT = Limit(5, timedelta(minutes=15))   # text messages, too
TEXTS_A_DAY = Limit(10, timedelta(days=1))            # codes to one number, and for one account


class Stay(NamedTuple):
    """How long a session lasts at most, and how long unused."""

    at_most: timedelta
    unused: timedelta


STAFF_STAY = Stay(timedelta(hours=12), timedelta(minutes=60))
PATIENT_STAY = Stay(timedelta(days=30), timedelta(hours=24))
DEVICE_KNOWN_FOR = timedelta(days=180)   # since the password was last given on it
FRESH_FOR = timedelta(minutes=10)   # a password that was given counts for what is sensitive


def name_key(name: str) -> str:
    """To sort by."""
    return folded(name)[:KEY_LENGTH]


def search_text(name: str, email: str) -> str:
    return f"{folded(name)} {folded(email)}"[:SEARCH_LENGTH]


def email_key(email: str) -> str:
    """One address, one key: e-mail addresses are compared without case. A digest, because an address is longer than
    MySQL indexes."""
    return hashlib.sha256(unicodedata.normalize("NFC", email.strip()).lower().encode()).hexdigest()


def details(body: RegisterPatient) -> str:
    """What makes two registrations the same person's: everything about them, as they wrote it."""
    return f"{body.given_name}\0{body.family_name}\0{body.birth_date}\0{body.phone}"


# --- passwords -------------------------------------------------------------------------------------------------------

SHORTEST, LONGEST = 10, 200
# Those guessed first, by what is left of them without the digits and signs at their end. "doctor12345" is "doctor".
WORDS = """
    password passwords passwort passwordpassword mypassword thepassword motdepasse contrasena wachtwoord
    p@ssword p@ssw0rd p@55w0rd passw0rd pa55word pa$$word pa$$w0rd letmein letmeinplease letmeinnow welcome welcomeback
    qwerty qwertyuiop qwertyuiopasdfghjkl qwertyqwerty qwertz qwertzuiop azerty azertyuiop azertyazerty asdfghjkl
    asdfghjklqwertyuiop zxcvbnm qazwsx qazwsxedc zaqxsw 1q2w3e4r5t6y 1qaz2wsx 1qaz2wsx3edc 1qazxsw23edc zaq12wsx
    q1w2e3r 123qweasdzxc qwe123qwe abc123abc 123abc123abc a1b2c3d 1a2b3c4d5e iloveyou iloveyouso iloveyouforever
    ilovemyself ilovejesus administrator admin adminadmin root rootroot changeme changemenow changeit temporary
    temppassword default secret secretsecret topsecret supersecret trustno football basketball baseball superman batman
    spiderman starwars princess sunshine shadow dragon monkey master mustang michael jennifer jordan charlie whatever
    computer internet samsung liverpool manchester chocolate butterfly abcdefghij abcdefghijkl
    abcdefghijklmnopqrstuvwxyz abcabcabc abc abcd test testtest testtesttest testing hospital doctor nurse patient
    infirmary health medicine
"""
NUMBERS = """
    1234567890 0123456789 0987654321 9876543210 1234512345 1231231231 123123123123 12345678910 123456789012 1122334455
    1029384756 1020304050 1357924680 1472583690 0147258369 7894561230 1236987450 1q2w3e4r5t q1w2e3r4t5
"""
COMMON = frozenset([*WORDS.split(), *NUMBERS.split()])


def normal(password: str) -> str:
    """The same password typed on another keyboard (NIST SP 800-63B, 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


def check_password(password: str, *, email: str, names: Iterable[str], field: str = "password") -> None:
    """Refuses passwords that are guessed first: short, common, repetitive, or made of the person's own name."""
    password = normal(password)
    if not SHORTEST <= len(password) <= LONGEST:
        raise WeakPassword(errors=[FieldError(field, f"Use {SHORTEST} to {LONGEST} characters.")])
    plain = password.casefold()
    bare = re.sub(r"[\W\d_]+$", "", plain)
    if plain in COMMON or bare in COMMON or len(set(plain)) < 4:
        raise WeakPassword("Many people use this password, so it is tried first. Choose one of your own.",
                           errors=[FieldError(field, "Use a less common password; three unrelated words do well.")])
    if _is_about(plain, email, names):
        raise WeakPassword("This password is made of your name or e-mail address, so it is tried first.",
                           errors=[FieldError(field, "Leave your name and e-mail address out of it.")])


def _is_about(password: str, email: str, names: Iterable[str]) -> bool:
    """Whether little is left of the password when the person's own words are taken out."""
    mailbox = email.casefold().partition("@")[0]
    own = {email.casefold(), mailbox, *re.split(r"[\W\d_]+", mailbox),
           *(part for name in names for part in name.casefold().split())}
    left = password
    for word in sorted((word for word in own if len(word) >= 3), key=len, reverse=True):
        left = left.replace(word, "")
    return left != password and len(left) < 6


# --- second factor ---------------------------------------------------------------------------------------------------

STEP = 30        # seconds that a code is shown for (RFC 6238, 4.1)
DRIFT = 1        # steps that the phone's clock may be off
MFA_TOKEN_FOR = timedelta(minutes=5)
RECOVERY_CODES, RECOVERY_LETTERS = 10, 12   # of 5 bits each
_MISREAD = str.maketrans("018", "olb")      # no recovery code contains these


def matching_step(secret: str, code: str, *, now: datetime) -> int | None:
    """The time step whose code this is (RFC 6238, 5.2), or None. Whether it was used before, the database knows."""
    this, totp = int(now.timestamp()) // STEP, pyotp.TOTP(secret, interval=STEP)
    steps = [step for step in range(this - DRIFT, this + DRIFT + 1)
             if hmac.compare_digest(totp.generate_otp(step).encode(), code.encode())]
    return steps[0] if steps else None


def as_typed(code: str) -> str:
    """A code without the spaces and hyphens that people read it by."""
    return re.sub(r"[\s\-\u2010-\u2015]", "", code).lower()


def is_totp(code: str) -> bool:
    return re.fullmatch("[0-9]{6}", code) is not None


def recovery_code(raw: bytes) -> str:
    """As it is shown: three groups of four letters."""
    letters = base64.b32encode(raw).decode().lower()[:RECOVERY_LETTERS]
    return "-".join(letters[at:at + 4] for at in range(0, RECOVERY_LETTERS, 4))


def recovery_key(typed: str) -> str:
    return typed.translate(_MISREAD)


# --- codes that are sent ---------------------------------------------------------------------------------------------

class Purpose(StrEnum):
    """What a code that was sent is good for, and nothing else."""

    SIGN_IN = "sign_in"              # in place of the password
    SECOND_FACTOR = "second_factor"  # besides it
    CONFIRM = "confirm"              # that messages arrive there


CODE_FOR = timedelta(minutes=10)   # ASVS 6.5.5
TRIES_PER_CODE = 5


def six_digits(raw: bytes) -> str:
    """A code of what nobody can guess: 8 bytes or more, so that no code is likelier than another by much."""
    return f"{int.from_bytes(raw) % 1_000_000:06}"


# --- passkeys --------------------------------------------------------------------------------------------------------

CHALLENGE_FOR = timedelta(minutes=5)
MOST_PASSKEYS = 20   # of one account


# --- roles -----------------------------------------------------------------------------------------------------------

def check_roles(roles: Collection[Role], *, patient_id: UUID | None, doctor_id: UUID | None) -> None:
    """A patient account names its patient, a doctor account its doctor, and neither names one without the role."""
    if SERVICE in roles:
        raise RoleNeedsPerson("No person holds the role “service”: it is how the parts of this system ask each other.",
                              errors=[FieldError("roles", "Leave out “service”.")])
    for role, person, field in ((PATIENT, patient_id, "patient_id"), (DOCTOR, doctor_id, "doctor_id")):
        if (role in roles) != (person is not None):
            mend = (f"Name the {role} this account belongs to." if role in roles
                    else f"Add the role “{role}”, or leave this out.")
            raise RoleNeedsPerson(errors=[FieldError(field, mend)])


def amended(before: Standing, body: AmendAccount) -> Standing:
    """The account as it would be; refuses what does not go together."""
    changes = {name: value for name, value in structs.asdict(body).items() if value is not UNSET}
    if "name" in changes:
        changes["name"] = changes["name"].strip()
    if "roles" in changes:
        changes["roles"] = frozenset(changes["roles"])
    after = structs.replace(before, **changes)
    check_roles(after.roles, patient_id=after.patient_id, doctor_id=after.doctor_id)
    return after


def may_unseat(body: AmendAccount) -> bool:
    """Whether this could take an administrator from the hospital."""
    return body.disabled is True or (body.roles is not UNSET and ADMIN not in body.roles)


# --- sessions --------------------------------------------------------------------------------------------------------

def session_ends(roles: Collection[str], *, started_at: datetime, now: datetime) -> datetime:
    """When a session ends that is used now and never again."""
    stay = STAFF_STAY if any(role in roles for role in STAFF_ROLES) else PATIENT_STAY
    return min(started_at + stay.at_most, now + stay.unused)


# --- how often -------------------------------------------------------------------------------------------------------

def network(address: str) -> str:
    """Whom an address stands for: an IPv6 customer has a whole /64 of them."""
    ip = _ip(address)
    if ip is None:
        return address
    return str(ip_network((ip, 64), strict=False) if ip.version == 6 else ip)


def limit_of(address: str, *, production: bool) -> Limit:
    """For one address. Outside production this machine's own may try often; no address is a call in this process."""
    ip = _ip(address)
    here = ip.is_loopback if ip else not address
    return PER_ADDRESS_HERE if here and not production else PER_ADDRESS


def _ip(address: str) -> IPv4Address | IPv6Address | None:
    try:
        ip = ip_address(address)
    except ValueError:
        return None
    return ip.ipv4_mapped or ip if isinstance(ip, IPv6Address) else ip
