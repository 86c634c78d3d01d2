"""What people are told about their account itself."""
from __future__ import annotations

from infirmary.contexts.identity.events import FactorChange

from . import CODE, Message, _, one_line


def about_reset(*, invitation: bool, hospital: str) -> Message:
    """E-mail only: whoever needs it cannot look into the app."""
    if invitation:
        title = _("Your account at {hospital}").format(hospital=one_line(hospital))
        return _about_account("password.invitation", title, _(
            "An account is made for you. Choose a password, and you can sign in. The link works once and not for "
            "long; if it has grown too old, ask for a new one where you sign in."), "", _("Choose a password"))
    return _about_account("password.reset", _("Choose a new password"), _(
        "Somebody asked for a new password for your account here. If that was you, follow the link: it works once and "
        "not for long. If it was not you, do nothing: your password stays as it is."), "", _("Choose a new password"))


def about_code() -> Message:
    """Not in the app, as the links: whoever needs it cannot look there."""
    return _about_account(CODE, _("Your code"), _(
        "Type it where you asked for it: it works once, and for ten minutes. We never ask you for it on the phone. If it was "
        "not you who asked, do nothing."), "", _("Your code"))


def about_new_password() -> Message:
    return _about_account("password.changed", _("Your password is changed"), _(
        "If that was you, there is nothing to do. If it was not you, ask for a new password at once: that signs out "
        "whoever is in. Then call us."), "/forgot", _("Ask for a new password"))


_FACTORS = {
    FactorChange.TOTP_ADDED: (_("An authenticator app is set up for your account"), _(
        "From now on signing in asks for a code from it, besides your password.")),
    FactorChange.TOTP_REMOVED: (_("The authenticator app is removed from your account"), _(
        "From now on your password alone signs you in.")),
    FactorChange.RECOVERY_CODES_RENEWED: (_("You have new recovery codes"), _(
        "Those you had before are good no more.")),
    FactorChange.RECOVERY_CODE_USED: (_("A recovery code of yours was used"), _(
        "It took the place of a code from your authenticator app, and is good no more.")),
    FactorChange.LOGIN_ADDED: (_("A login is added to your account"), _(
        "From now on signing in with %(provider)s opens your account here.")),
    FactorChange.LOGIN_REMOVED: (_("A login is removed from your account"), _(
        "Signing in with %(provider)s opens your account here no more.")),
    FactorChange.PASSKEY_ADDED: (_("A passkey is added to your account"), _(
        "From now on it signs you in, without your password.")),
    FactorChange.PASSKEY_REMOVED: (_("A passkey is removed from your account"), _(
        "It signs nobody in any more.")),
    FactorChange.PASSKEY_COPIED: (_("A passkey of yours was turned away"), _(
        "It counted fewer uses than we did, which happens when somebody has copied it. Remove it, and make a new "
        "one.")),
    FactorChange.PHONE_ADDED: (_("A phone number is added to your account"), _(
        "From now on text messages and codes to sign in may go there, in place of any number before.")),
    FactorChange.PHONE_REMOVED: (_("The phone number is removed from your account"), _(
        "No text messages and no codes go there any more.")),
    FactorChange.CODES_ADDED: (_("Signing in asks for a code now"), _(
        "From now on signing in asks for a code by %(provider)s, besides your password.")),
    FactorChange.CODES_REMOVED: (_("Signing in asks for a code no more"), _(
        "There are no more codes by %(provider)s to sign in with, besides your password.")),
    FactorChange.RESET: (_("The second factor of your account is taken off"), _(
        "The administration did this, because somebody asked for it in your name. Authenticator app, recovery "
        "codes, passkeys and codes by message are gone; from now on your password alone signs you in. Set them up again.")),
}


def about_factor(change: FactorChange, of: str = "") -> Message:
    title, meaning = _FACTORS[change]
    if_not_you = _("If it was not you, choose a new password at once, and call us.")
    return _about_account("factor.changed", title, f"{meaning % {'provider': of}} {if_not_you}", "/security",
                          _("Look at how you sign in"))


def about_copied_sign_in() -> Message:
    return _about_account("session.ended", _("We signed you out on one device"), _(
        "A sign-in was used twice, which happens when somebody has copied it. We ended it to be safe: sign in again. "
        "If you know no reason for this, choose a new password."), "/password", _("Choose a new password"))


def _about_account(kind: str, title: str, body: str, link: str, label: str) -> Message:
    return Message(kind, title, title, body, link, label, private=True)
