"""The whole hospital as it is served, with one thing more: every password that is hashed leaves a byte in {data}/hashes.

    python -m tests.guesses.counted <port> [quick]      (settings from the environment; quick: hashing costs nothing)
"""
from __future__ import annotations

import sys

import uvicorn
from argon2 import PasswordHasher

from infirmary.contexts.identity.service import passwords
from infirmary.contexts.identity.service.passwords import Passwords
from infirmary.run.all_in_one import AllInOne, settings_of_this_process


def main(port: int, *, quick: bool) -> None:
    settings = settings_of_this_process()
    honest = Passwords._verified
    with (settings.folder / "hashes").open("ab", buffering=0) as counted:
        def verified(self: Passwords, stored: str, password: str) -> bool:
            counted.write(b".")
            return honest(self, stored, password)

        Passwords._verified = verified   # type: ignore[method-assign]
        if quick:
            passwords.PasswordHasher = lambda *_, **__: PasswordHasher(1, 8, 1)   # type: ignore[assignment,misc]
        uvicorn.run(AllInOne(settings), host="127.0.0.1", port=port, log_config=None, access_log=False,  # type: ignore[arg-type]
                    lifespan="on", ws="none", proxy_headers=False, server_header=False)


if __name__ == "__main__":
    main(int(sys.argv[1]), quick="quick" in sys.argv)
