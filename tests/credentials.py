"""The secrets of the whole suite. `tests/canaries.py` searches all output for them."""

from __future__ import annotations

import base64
import hashlib
import hmac

PROJECT = "eu-de"
ACCESS_KEY = "AKCANARY00000000000A"
SECRET_KEY = "CANARYsk0000000000000000000000000000secr"
ACCESS_ID = f"{PROJECT}@{ACCESS_KEY}"


def login_key(access_key: str, secret_key: str) -> str:
    """As documented by OTC; independent of the function of the adapter."""
    return hmac.new(secret_key.encode(), access_key.encode(), hashlib.sha256).hexdigest()


LOGIN_KEY = login_key(ACCESS_KEY, SECRET_KEY)

# The account of another tenant, for organization names that are taken.
OTHER_ACCESS_KEY = "AKCANARY00000000000B"
OTHER_SECRET_KEY = "CANARYsk0000000000000000000000000000othr"

WRONG_SECRET = "CANARYwrong00000000000000000000000000000"

# Of the Redis server in STATE_URL.
STATE_PASSWORD = "CANARYstate00000000000000000000000000000"


def basic(user: str = ACCESS_ID, secret: str = SECRET_KEY) -> str:
    """The value of an `Authorization` header."""
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()


def canaries() -> list[str]:
    """Every form in which a secret of the suite could leak."""
    entered = [SECRET_KEY, OTHER_SECRET_KEY, WRONG_SECRET]
    derived = [login_key(key, secret) for key in (ACCESS_KEY, OTHER_ACCESS_KEY) for secret in entered]
    secrets = entered + derived
    users = [ACCESS_ID, f"{PROJECT}@{OTHER_ACCESS_KEY}"]
    encoded = [basic(user, secret).removeprefix("Basic ") for user in users for secret in secrets]
    return [*secrets, *encoded, STATE_PASSWORD]
