"""What anybody may know: the public keys, and where to sign in."""
from __future__ import annotations

from infirmary.contexts.identity.contract import KeySet, ServerMetadata
from infirmary.kernel.access import Caller

from .base import Base


class Keys(Base):
    async def jwks(self, caller: Caller) -> KeySet:
        return KeySet(**self.ring.jwks())

    async def server_metadata(self, caller: Caller) -> ServerMetadata:
        return ServerMetadata(
            issuer=self.issuer, token_endpoint=f"{self.issuer}/api/v1/auth/token",
            revocation_endpoint=f"{self.issuer}/api/v1/auth/revoke", jwks_uri=f"{self.issuer}/.well-known/jwks.json",
            grant_types_supported=["password", "mfa_otp", "client_credentials", "refresh_token"], response_types_supported=[],
            id_token_signing_alg_values_supported=["EdDSA"], subject_types_supported=["public"])
