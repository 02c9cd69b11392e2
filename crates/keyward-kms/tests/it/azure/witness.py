"""Holds the fake of Key Vault to what Azure's own client for Python expects.

Run by the test `azure::witness`: witness.py HOST:PORT TRUSTED.PEM, with the token that the fake
lets in and a secret to store in KEYWARD_TEST_TOKEN and KEYWARD_TEST_SECRET.
"""

import os
import sys
import time

from azure.core import exceptions
from azure.core.credentials import AccessToken
from azure.keyvault.secrets import SecretClient

host, trusted = sys.argv[1:]
secret = os.environ["KEYWARD_TEST_SECRET"]
steps = 0


class Token:
    """A token that was had elsewhere."""

    def __init__(self, token):
        self.token = token

    def get_token(self, *scopes, **_):
        if scopes != ("https://vault.azure.net/.default",):
            sys.exit(f"not so: a token for {scopes}")
        return AccessToken(self.token, int(time.time()) + 3600)


def step(what, is_so=True):
    global steps
    if not is_so:
        sys.exit(f"not so: {what}")
    steps += 1


def refuses(what, error, call):
    try:
        call()
    except error:
        return step(what)
    sys.exit(f"does not refuse: {what}")


def client(token):
    # By address, so the challenge's domain is not that of the host.
    return SecretClient(
        vault_url=f"https://{host}",
        credential=Token(token),
        verify_challenge_resource=False,
        connection_verify=trusted,
        retry_total=0,
    )


vault = client(os.environ["KEYWARD_TEST_TOKEN"])
stranger = client("eyJ0.stranger")
refuses("a stranger", exceptions.ClientAuthenticationError, lambda: stranger.get_secret("python"))
refuses("an absent secret", exceptions.ResourceNotFoundError, lambda: vault.get_secret("python"))
first = vault.set_secret("python", "first", tags={"of": "keyward"})
step("a version has an id and its tags", first.properties.version and first.properties.tags)
second = vault.set_secret("python", secret)
step("another version", second.properties.version != first.properties.version)
step("the newest is read", vault.get_secret("python").value == secret)
version = first.properties.version
step("and one by its id", vault.get_secret("python", version).value == "first")
step("it is enabled", second.properties.enabled)
vault.update_secret_properties("python", second.properties.version, enabled=False)
refuses("a disabled one", exceptions.HttpResponseError, lambda: vault.get_secret("python"))
# What the poller waits for is that the deleted secret can be read.
deleted = vault.begin_delete_secret("python").result()
step("it is deleted, and can be recovered", deleted.recovery_id and deleted.deleted_date)
refuses("a deleted one", exceptions.ResourceNotFoundError, lambda: vault.get_secret("python"))
refuses(
    "a new one while it is",
    exceptions.ResourceExistsError,
    lambda: vault.set_secret("python", "third"),
)
print(f"ok: {steps} steps")
