"""Identity."""
from __future__ import annotations

from typing import Any
from uuid import UUID

from infirmary.contexts.identity.contract import Identity, OpenAccount
from infirmary.kernel.access import NOBODY
from infirmary.language import Role
from tests.architecture.world import OTHER, PASSWORD, PROVIDER, ROOT, Subject, World
from tests.authenticator import Authenticator, text

from .making import ONES_OWN, PERSONS, asks


@asks("identity.register")
async def register(world: World, of: Subject) -> dict[str, Any]:
    return {"body": {"email": f"new.{world.count()}@door.test", "password": PASSWORD, "given_name": "New",
                     "family_name": "Comer", "birth_date": "1990-02-03", "phone": "+353 1 999 0000"}}


@asks("identity.token")
async def token(world: World, of: Subject) -> dict[str, Any]:
    await world.usual_password(world.accounts["nurse"].id)
    return {"body": {"grant_type": "password", "username": world.accounts["nurse"].email, "password": PASSWORD}}


@asks("identity.revoke")
async def revoke(world: World, of: Subject) -> dict[str, Any]:
    session = await world.session(world.accounts["nurse"].id)
    return {"body": {"token": world.sign(world.accounts["nurse"].id, ["nurse"], {}, session_id=session)}}


@asks("identity.end_session", about=PERSONS)
async def end_session(world: World, of: Subject) -> dict[str, Any]:
    account = of.account_id if any(of.account_id == one.id for one in world.accounts.values()) else (
        world.accounts[OTHER].id)
    return {"path": {"session_id": await world.session(account)}}


@asks("identity.request_code")
async def request_code(world: World, of: Subject) -> dict[str, Any]:
    return {"body": {"email": f"unknown.{world.count()}@door.test"}}


@asks("identity.verify_code", "identity.sent_code")
async def sent_code(world: World, of: Subject) -> dict[str, Any]:
    await world.usual_password(world.accounts[Role.PATIENT].id)
    asked, code = await world.code_by_mail()
    return {"path": {"code_id": asked}, "body": {"code_id": asked, "code": code}}


@asks("identity.forgot_password")
async def forgot_password(world: World, of: Subject) -> dict[str, Any]:
    return {"body": {"email": f"unknown.{world.count()}@door.test"}}


@asks("identity.reset_password")
async def reset_password(world: World, of: Subject) -> dict[str, Any]:
    return {"body": {"token": await world.reset_token(), "password": "four brown herons"}}


@asks("identity.change_password", about=ONES_OWN)
async def change_password(world: World, of: Subject) -> dict[str, Any]:
    await world.usual_password(of.account_id)
    return {"body": {"current_password": PASSWORD, "new_password": "four brown herons"}}


@asks("identity.enroll_totp", about=ONES_OWN)
async def enroll_totp(world: World, of: Subject) -> dict[str, Any]:
    await world.usual_password(of.account_id)
    await world.fresh(of.account_id)
    return {}


@asks("identity.stepped_up", about=ONES_OWN)
async def stepped_up(world: World, of: Subject) -> dict[str, Any]:
    await world.fresh(of.account_id)
    return {}


@asks("identity.step_up", about=ONES_OWN)
async def step_up(world: World, of: Subject) -> dict[str, Any]:
    await world.usual_password(of.account_id)
    await world.fresh(of.account_id)
    return {"body": {"password": PASSWORD}}


@asks("identity.confirm_totp", about=ONES_OWN)
async def confirm_totp(world: World, of: Subject) -> dict[str, Any]:
    await world.fresh(of.account_id)
    return {"body": {"code": await world.authenticator(of.account_id, confirmed=False)}}


@asks("identity.disable_totp", "identity.renew_recovery_codes", about=ONES_OWN)
async def with_totp(world: World, of: Subject) -> dict[str, Any]:
    await world.fresh(of.account_id)
    return {"body": {"password": PASSWORD, "code": await world.authenticator(of.account_id)}}


@asks("identity.add_contact_point", about=ONES_OWN)
async def add_contact_point(world: World, of: Subject) -> dict[str, Any]:
    await world.fresh(of.account_id)
    return {"body": {"channel": "email"}}


@asks("identity.confirm_contact_point", about=ONES_OWN)
async def confirm_contact_point(world: World, of: Subject) -> dict[str, Any]:
    await world.fresh(of.account_id)
    asked, code = await world.code_to_confirm(of.account_id)
    return {"body": {"code_id": asked, "code": code}}


@asks("identity.ask_for_codes", about=ONES_OWN)
async def ask_for_codes(world: World, of: Subject) -> dict[str, Any]:
    await world.fresh(of.account_id)
    await world.contact_point(of.account_id, second_factor=False)
    return {"path": {"channel": "email"}}


@asks("identity.stop_asking_for_codes", "identity.remove_contact_point", about=ONES_OWN)
async def with_codes(world: World, of: Subject) -> dict[str, Any]:
    await world.fresh(of.account_id)
    await world.contact_point(of.account_id, second_factor=True)
    return {"path": {"channel": "email"}}


@asks("identity.send_second_factor")
async def send_second_factor(world: World, of: Subject) -> dict[str, Any]:
    return {"body": {"mfa_token": await world.mfa_token(), "channel": "email"}}


@asks("identity.start_oidc")
async def start_oidc(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"provider": PROVIDER}}


@asks("identity.link_oidc", about=ONES_OWN)
async def link_oidc(world: World, of: Subject) -> dict[str, Any]:
    await world.fresh(of.account_id)
    return {"path": {"provider": PROVIDER}}


@asks("identity.come_back")
async def come_back(world: World, of: Subject) -> dict[str, Any]:
    nurse = world.accounts["nurse"].id
    await world.usual_password(nurse)
    away = await world.house.ask(Identity).start_oidc(NOBODY, PROVIDER)
    brought = world.provider.signs_in(away.authorization_url, await world.known_there(nurse))
    return {"path": {"provider": PROVIDER}, "body": {**brought, "browser": away.browser}}


@asks("identity.unlink", about=PERSONS)
async def unlink(world: World, of: Subject) -> dict[str, Any]:
    account = of.account_id if any(of.account_id == one.id for one in world.accounts.values()) else (
        world.accounts[OTHER].id)
    await world.fresh(account)
    return {"path": {"login_id": await world.login(account)}}


@asks("identity.passkey_options", "identity.add_passkey", about=ONES_OWN)
async def make_passkey(world: World, of: Subject) -> dict[str, Any]:
    await world.usual_password(of.account_id)
    await world.fresh(of.account_id)
    challenge = world.house.rooms["identity"].service._challenge(b"make" + of.account_id.bytes)
    made = Authenticator(world.house.settings.passkey_origin).makes(
        {"user": {"id": text(of.account_id.bytes)}, "challenge": text(challenge)})
    return {"body": {"name": "A phone", "credential": made}}


@asks("identity.rename_passkey", "identity.remove_passkey", about=PERSONS)
async def one_passkey(world: World, of: Subject) -> dict[str, Any]:
    await world.fresh(of.account_id)
    passkey_id, _ = await world.passkey(of.account_id)
    return {"path": {"passkey_id": passkey_id}, "body": {"name": "A laptop"}, "if_match": 1}


@asks("identity.passkey_token")
async def passkey_token(world: World, of: Subject) -> dict[str, Any]:
    return await use_passkey(world, world.accounts["nurse"].id)


@asks("identity.passkey_step_up", about=ONES_OWN)
async def passkey_step_up(world: World, of: Subject) -> dict[str, Any]:
    await world.fresh(of.account_id)
    return await use_passkey(world, of.account_id)


async def use_passkey(world: World, account_id: UUID) -> dict[str, Any]:
    _, device = await world.passkey(account_id)
    asked = await world.house.ask(Identity).passkey_challenge(NOBODY)
    return {"body": {"credential": device.signs(asked.public_key)}}


@asks("identity.make_client")
async def make_client(world: World, of: Subject) -> dict[str, Any]:
    await world.fresh(world.accounts["admin"].id)
    return {"body": {"name": "A program", "roles": ["reception"]}}


@asks("identity.client", "identity.amend_client", "identity.rotate_client", "identity.revoke_client")
async def client(world: World, of: Subject) -> dict[str, Any]:
    await world.fresh(world.accounts["admin"].id)
    return {"path": {"client_id": await world.client()}, "if_match": 1, "body": {"name": "Another name"}}


@asks("identity.reset_second_factor", about=PERSONS)
async def reset_second_factor(world: World, of: Subject) -> dict[str, Any]:
    await world.fresh(world.accounts[Role.ADMIN].id)
    await world.authenticator(of.account_id)
    return {"path": {"account_id": of.account_id}}


@asks("identity.open_account")
async def open_account(world: World, of: Subject) -> dict[str, Any]:
    return {"body": {"email": f"opened.{world.count()}@door.test", "name": "Newly Hired", "roles": ["nurse"]}}


@asks("identity.end_sessions_of", "identity.end_session_of")
async def sessions_of_somebody(world: World, of: Subject) -> dict[str, Any]:
    """Of an account made for it: those of the askers are still needed."""
    made = await world.house.ask(Identity).open_account(ROOT, OpenAccount(
        email=f"signed.in.{world.count()}@door.test", name="Signed In", roles=[Role.NURSE], password=PASSWORD))
    return {"path": {"account_id": made.id, "session_id": await world.session(made.id)}}


@asks("identity.unlink_of", about=PERSONS)
async def unlink_of(world: World, of: Subject) -> dict[str, Any]:
    await world.fresh(world.accounts[Role.ADMIN].id)
    known = any(of.account_id == one.id for one in world.accounts.values())
    return {"path": {"account_id": of.account_id, "login_id": await world.login(
        of.account_id if known else world.accounts[OTHER].id)}}


@asks("identity.account", "identity.second_factor_of", "identity.sessions_of", "identity.logins_of", "identity.passkeys_of",
      about=PERSONS)
async def account(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"account_id": of.account_id}}


@asks("identity.amend_account", about=PERSONS)
async def amend_account(world: World, of: Subject) -> dict[str, Any]:
    known = {one.id for one in world.accounts.values()}
    now = await world.house.ask(Identity).account(ROOT, of.account_id) if of.account_id in known else None
    return {"path": {"account_id": of.account_id}, "body": {"name": now.name if now else "Nobody"},
            "if_match": now.version if now else 1}


@asks("identity.recipients", about=PERSONS)
async def recipients(world: World, of: Subject) -> dict[str, Any]:
    return {"query": {"patient_id": of.patient_id}}


@asks("identity.reset_link")
async def reset_link(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"reset_id": await world.reset()}}
