"""Holds the fake of Secret Manager and Cloud KMS to what Google's own client for Python expects.

Run by the test `google::witness`: witness.py HOST:PORT KMS-KEY, with the token that the fake lets
in and a secret to store in KEYWARD_TEST_TOKEN and KEYWARD_TEST_SECRET.
"""

import os
import sys

import google.auth.credentials
from google.api_core import exceptions
from google.cloud import kms_v1, secretmanager_v1
from google.cloud.kms_v1.services.key_management_service import transports as kms_transports
from google.cloud.secretmanager_v1.services.secret_manager_service import transports
from google.protobuf import field_mask_pb2

host, key = sys.argv[1:]
secret = os.environ["KEYWARD_TEST_SECRET"].encode()
steps = 0


class Token(google.auth.credentials.Credentials):
    """A token that was had elsewhere."""

    def __init__(self, token):
        super().__init__()
        self.token = token

    def refresh(self, request):
        """What a 401 asks for. There is no other token."""


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def step(what, is_so=True):
    global steps
    if not is_so:
        sys.exit(f"not so: {what}")
    steps += 1


def refuses(what, code, call):
    try:
        call()
    except exceptions.GoogleAPICallError as error:
        # Over REST the client's exceptions go by the status of HTTP alone.
        return step(what, error.response.json()["error"]["status"] == code)
    sys.exit(f"does not refuse: {what}")


def client(of, transport, token):
    # The transport without TLS, which loopback needs none of.
    credentials = Token(token)
    return of(transport=transport(host=host, credentials=credentials, url_scheme="http"))


token = os.environ["KEYWARD_TEST_TOKEN"]
rest = transports.SecretManagerServiceRestTransport
secrets = client(secretmanager_v1.SecretManagerServiceClient, rest, token)
stranger = client(secretmanager_v1.SecretManagerServiceClient, rest, "ya29.stranger")

name = "projects/p/secrets/python"
request = {
    "parent": "projects/p",
    "secret_id": "python",
    "secret": {"replication": {"automatic": {}}},
}
refuses("a stranger", "UNAUTHENTICATED", lambda: stranger.get_secret(name=name))
refuses("an absent secret", "NOT_FOUND", lambda: secrets.get_secret(name=name))
made = secrets.create_secret(request=request)
step("a secret has its name, a tag and its replication", made.name == name and made.etag)
refuses("a second secret", "ALREADY_EXISTS", lambda: secrets.create_secret(request=request))

latest = f"{name}/versions/latest"
refuses("no version", "NOT_FOUND", lambda: secrets.access_secret_version(name=latest))
payload = {"data": secret, "data_crc32c": crc32c(secret)}
added = secrets.add_secret_version(parent=name, payload=payload)
step("a version has a number", added.name == f"{name}/versions/1")
step("the checksum was seen", added.client_specified_payload_checksum)
step("it is enabled", added.state == secretmanager_v1.SecretVersion.State.ENABLED)
wrong = {"data": secret, "data_crc32c": crc32c(secret) ^ 1}
refuses(
    "a wrong checksum",
    "INVALID_ARGUMENT",
    lambda: secrets.add_secret_version(parent=name, payload=wrong),
)
read = secrets.access_secret_version(name=latest)
step("what was stored is there", read.payload.data == secret and read.name == added.name)
step("with its checksum", read.payload.data_crc32c == crc32c(secret))


def alias(to, etag):
    update = {"name": name, "etag": etag, "version_aliases": {"current": to}}
    mask = field_mask_pb2.FieldMask(paths=["version_aliases"])
    return secrets.update_secret(secret=update, update_mask=mask)


before = secrets.get_secret(name=name)
after = alias(1, before.etag)
step("an alias is set, and the tag is another one", after.version_aliases["current"] == 1)
step("the tag has changed", after.etag != before.etag)
refuses("an old tag", "FAILED_PRECONDITION", lambda: alias(1, before.etag))
refuses("an alias of no version", "INVALID_ARGUMENT", lambda: alias(7, after.etag))
current = f"{name}/versions/current"
step("an alias is read", secrets.access_secret_version(name=current).name == added.name)
secrets.disable_secret_version(name=added.name)
refuses(
    "a disabled version",
    "FAILED_PRECONDITION",
    lambda: secrets.access_secret_version(name=current),
)

keys = client(
    kms_v1.KeyManagementServiceClient,
    kms_transports.KeyManagementServiceRestTransport,
    token,
)
bound = b"billing"
sealed = keys.encrypt(
    request={
        "name": key,
        "plaintext": secret,
        "plaintext_crc32c": crc32c(secret),
        "additional_authenticated_data": bound,
        "additional_authenticated_data_crc32c": crc32c(bound),
    }
)
verified = sealed.verified_plaintext_crc32c and sealed.verified_additional_authenticated_data_crc32c
step(
    "it seals, and sees the checksums",
    verified and sealed.ciphertext_crc32c == crc32c(sealed.ciphertext),
)


def opened(bound):
    return keys.decrypt(
        request={
            "name": key,
            "ciphertext": sealed.ciphertext,
            "ciphertext_crc32c": crc32c(sealed.ciphertext),
            "additional_authenticated_data": bound,
        }
    )


plain = opened(bound)
step("it opens", plain.plaintext == secret and plain.plaintext_crc32c == crc32c(secret))
refuses("another context", "INVALID_ARGUMENT", lambda: opened(b"other"))
print(f"ok: {steps} steps")
