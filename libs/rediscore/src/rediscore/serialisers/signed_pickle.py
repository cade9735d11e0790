"""Pickle for those who must, never read without a signature."""

import hmac
import io
import pickle
from collections.abc import Iterable, Sequence
from typing import Any, Final

from rediscore.serialisers.protocol import UnreadableValue

_SHORTEST_KEY: Final = 16
_SIGNATURE: Final = 32  # HMAC-SHA256


class SignedPickle:
    """Any Python object that pickle takes, signed with HMAC-SHA256.

    Pickle runs code while it reads. So the signature is compared (in constant time) before anything is
    unpickled, and whoever can write to Redis but has no key reaches nothing but a miss. What a signature
    cannot tell: a value that was signed once may be put back later or under another key of the same
    `purpose`. The keys are as powerful as the code: who has one may run code in every reader, unless
    `allow` is given.

    Args:
        keys: list of secrets of at least 16 bytes. The first one signs, all of them are accepted: to
            change keys, put the new one in front everywhere, and take the old one away after the longest
            TTL.
        purpose: what the values are for; those signed for another purpose are refused.
        allow: classes that may occur in a value, beside None, booleans, numbers, text, bytes, lists,
            tuples, dicts and sets. None: everything that can be imported.

    Raises: ValueError without keys or with a short one.
    """

    def __init__(self, keys: Sequence[bytes], *, purpose: str, allow: Iterable[type] | None = None) -> None:
        if not isinstance(keys, list | tuple) or not keys:
            raise ValueError("SignedPickle needs a list of keys: the newest, then those still accepted.")
        if any(len(key) < _SHORTEST_KEY for key in keys):
            raise ValueError(f"A key of SignedPickle has at least {_SHORTEST_KEY} random bytes.")
        # A key per purpose, so that no signature of one is good for another.
        self._keys = [hmac.digest(key, b"rediscore.pickle:" + purpose.encode(), "sha256") for key in keys]
        self._allowed = None if allow is None else {(kind.__module__, kind.__qualname__) for kind in allow}

    def __repr__(self) -> str:
        return f"SignedPickle({len(self._keys)} keys)"

    def dumps(self, value: Any) -> bytes:
        """See `Serialiser`. Raises: TypeError when pickle cannot, or when `allow` lacks a class."""
        try:
            payload = pickle.dumps(value, protocol=5)
            if self._allowed is not None:
                self._unpickle(payload)
        except (pickle.PicklingError, pickle.UnpicklingError, AttributeError) as error:
            raise TypeError(f"This {type(value).__name__} cannot be written: {error}") from error
        return hmac.digest(self._keys[0], payload, "sha256") + payload

    def loads(self, data: bytes) -> Any:
        """See `Serialiser`. Raises: UnreadableValue."""
        signature, payload = data[:_SIGNATURE], data[_SIGNATURE:]
        if not any(hmac.compare_digest(signature, hmac.digest(key, payload, "sha256")) for key in self._keys):
            raise UnreadableValue("Not signed with one of our keys.")
        try:
            return self._unpickle(payload)
        except Exception as error:  # classes run code of their own and raise what they like
            raise UnreadableValue(f"Signed, but not to be unpickled here: {type(error).__name__}.") from error

    def _unpickle(self, payload: bytes) -> Any:
        if self._allowed is None:
            return pickle.loads(payload)  # noqa: S301  signed
        return _Restricted(payload, self._allowed).load()


class _Restricted(pickle.Unpickler):
    """Finds only classes on a list."""

    def __init__(self, payload: bytes, allowed: set[tuple[str, str]]) -> None:
        super().__init__(io.BytesIO(payload))
        self._allowed = allowed

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._allowed:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return super().find_class(module, name)
