"""Tokens: who may ask a server for what. Only digests of them are stored."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update

from nas.errors import InvalidRequestError
from nas.store.connected import Connected, now
from nas.store.rows import TokenRow
from nas.store.schema import tokens


class Tokens(Connected):
    """The part of the store about tokens."""

    def create_token(
        self,
        digest: str,
        *,
        name: str,
        scopes: Sequence[str],
        expires_at: datetime | None = None,
    ) -> TokenRow:
        """Put down a token by its SHA-256; the token itself is never stored."""
        row: dict[str, Any] = {
            "id": secrets.token_hex(4),
            "digest": digest,
            "name": name,
            "scopes": list(scopes),
            "created_at": now(),
            "expires_at": expires_at,
            "revoked_at": None,
        }
        with self._write() as connection:
            connection.execute(tokens.insert(), row)
        return TokenRow(**{**row, "scopes": tuple(scopes)})

    def find_token(self, digest: str) -> TokenRow | None:
        """The token of that SHA-256, whether it is still good or not."""
        with self._read() as connection:
            row = connection.execute(select(tokens).where(tokens.c.digest == digest)).first()
            return None if row is None else _token(row)

    def list_tokens(self) -> list[TokenRow]:
        """All tokens, the latest first."""
        query = select(tokens).order_by(tokens.c.created_at.desc(), tokens.c.id)
        with self._read() as connection:
            return [_token(row) for row in connection.execute(query)]

    def revoke_token(self, token_id: str) -> None:
        """Make a token worthless from now on.

        Raises:
            InvalidRequestError: If there is none of that id.
        """
        revoke = update(tokens).where(tokens.c.id == token_id).values(revoked_at=now())
        with self._write() as connection:
            if connection.execute(revoke).rowcount == 0:
                raise InvalidRequestError(
                    f"There is no token {token_id!r:.40}; `nas token list` names them."
                )


def _token(row: Row[Any]) -> TokenRow:
    columns = dict(row._mapping)
    return TokenRow(**{**columns, "scopes": tuple(columns["scopes"])})
