"""Secrets to plant: of each kind one text as programs print it, and what of it must never be seen again.

The kinds are those of public rule sets (gitleaks, detect-secrets) and of the Kubernetes and AWS documents; the values are drawn from a seed.
"""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Iterator
from typing import NamedTuple

LOWER, DIGITS = string.ascii_lowercase, string.digits
ALNUM = string.ascii_letters + DIGITS
HEX = "0123456789abcdef"
B64 = ALNUM + "+/"


class Planted(NamedTuple):
    """`text`: a line or several with a secret in it. `hidden`: the pieces that must be gone."""

    kind: str
    text: str
    hidden: tuple[str, ...]


class Draw:
    """Random values that always hold a digit and a letter, from one seed."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)

    def of(self, letters: str, size: int) -> str:
        """`size` characters of `letters`, mixed as real keys are."""
        while True:
            text = "".join(self._dice.choice(letters) for _ in range(size))
            needs = [kind for kind in (DIGITS, LOWER) if set(kind) & set(letters)]
            if size < 8 or all(set(text) & set(kind) for kind in needs):
                return text


def tokens(draw: Draw) -> Iterator[Planted]:
    """Tokens known by their own form, in the middle of a sentence."""
    forms = {
        "aws-access-key": "AKIA" + draw.of(string.ascii_uppercase + "234567", 16), "aws-temporary-key": "ASIA" + draw.of(string.ascii_uppercase + "234567", 16),
        "aws-session-token": "IQoJb3JpZ2luX2Vj" + draw.of(B64, 300) + "=", "aws-session-token-old": "FwoGZXIvYXdzE" + draw.of(B64, 200) + "==",
        "bedrock": "ABSK" + draw.of(B64, 128), "imds-token": "AQAEA" + draw.of(ALNUM + "-_", 49) + "==",
        "jwt": ".".join(("eyJhbGciOiJSUzI1NiIsImtpZCI6" + draw.of(ALNUM, 20), "eyJhdWQiOlsia3ViZXJuZXRlcy" + draw.of(ALNUM, 80), draw.of(ALNUM + "-_", 86))),
        "eks": "k8s-aws-v1.aHR0cHM6Ly9zdHMu" + draw.of(ALNUM, 120), "github": "ghp_" + draw.of(ALNUM, 36), "github-server": "ghs_" + draw.of(ALNUM, 36),
        "github-fine": "github_pat_" + draw.of(ALNUM, 22) + "_" + draw.of(ALNUM, 59), "gitlab": "glpat-" + draw.of(ALNUM + "_-", 20), "gitlab-runner": "glrt-" + draw.of(ALNUM, 20),
        "slack-bot": f"xoxb-{draw.of(DIGITS, 12)}-{draw.of(DIGITS, 12)}-{draw.of(ALNUM, 24)}", "slack-app": f"xapp-1-A{draw.of(ALNUM, 10)}-{draw.of(DIGITS, 12)}-{draw.of(HEX, 64)}",
        "slack-hook": f"https://hooks.slack.com/services/T{draw.of(ALNUM, 8)}/B{draw.of(ALNUM, 8)}/{draw.of(ALNUM, 24)}",
        "stripe": "sk_live_" + draw.of(ALNUM, 24), "stripe-restricted": "rk_test_" + draw.of(ALNUM, 40), "gcp": "AIza" + draw.of(ALNUM + "-_", 35), "gcp-oauth": "ya29." + draw.of(ALNUM + "-_", 60),
        "azure-ad": draw.of(ALNUM, 3) + "8Q~" + draw.of(ALNUM + "_~.-", 34), "npm": "npm_" + draw.of(ALNUM, 36), "pypi": "pypi-AgEIcHlwaS5vcmc" + draw.of(ALNUM + "-_", 80),
        "docker": "dckr_pat_" + draw.of(ALNUM, 27), "sendgrid": f"SG.{draw.of(ALNUM, 22)}.{draw.of(ALNUM, 43)}", "twilio": "SK" + draw.of(HEX, 32), "mailgun": "key-" + draw.of(HEX, 32),
        "digitalocean": "dop_v1_" + draw.of(HEX, 64), "vault": "hvs." + draw.of(ALNUM, 95), "vault-old": "s." + draw.of(ALNUM, 24), "terraform": draw.of(ALNUM, 14) + ".atlasv1." + draw.of(ALNUM, 65),
        "doppler": "dp.pt." + draw.of(LOWER + DIGITS, 43), "grafana": "glsa_" + draw.of(ALNUM, 32) + "_" + draw.of(HEX, 8), "grafana-cloud": "glc_" + draw.of(B64, 60) + "=",
        "openai": "sk-proj-" + draw.of(ALNUM, 74), "anthropic": "sk-ant-api03-" + draw.of(ALNUM + "-_", 93) + "AA", "huggingface": "hf_" + draw.of(string.ascii_letters + "7", 34),
        "shopify": "shpat_" + draw.of(HEX, 32), "square": "sq0atp-" + draw.of(ALNUM, 22), "telegram": draw.of("123456789", 9) + ":AA" + draw.of(ALNUM, 33), "linear": "lin_api_" + draw.of(ALNUM, 40),
        "atlassian": "ATATT3xFfGF0" + draw.of(ALNUM + "_-", 180), "age": "AGE-SECRET-KEY-1" + draw.of("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58), "planetscale": "pscale_tkn_" + draw.of(ALNUM, 43),
        "postman": f"PMAK-{draw.of(HEX, 24)}-{draw.of(HEX, 34)}", "pulumi": "pul-" + draw.of(HEX, 40), "sentry": "sntryu_" + draw.of(HEX, 64), "artifactory": "AKCp" + draw.of(ALNUM, 69),
        "databricks": "dapi" + draw.of(HEX, 32), "dynatrace": f"dt0c01.{draw.of(ALNUM, 24)}.{draw.of(ALNUM, 64)}", "newrelic": "NRAK-" + draw.of(string.ascii_uppercase + DIGITS, 27), "rubygems": "rubygems_" + draw.of(HEX, 48),
        "mailchimp": draw.of(HEX, 32) + "-us14", "airtable": "pat" + draw.of(ALNUM, 14) + "." + draw.of(HEX, 64), "openshift": "sha256~" + draw.of(ALNUM, 43), "tailscale": "tskey-auth-" + draw.of(ALNUM, 12) + "-" + draw.of(ALNUM, 30),
        "bootstrap": draw.of(LOWER + DIGITS, 6) + "." + draw.of(LOWER + DIGITS, 16), "heroku": "HRKU-AA" + draw.of(ALNUM, 58), "fly": "fo1_" + draw.of(ALNUM, 43),
    }
    for kind, value in forms.items():
        yield Planted(kind, f"request refused for {value} by the server", (value[-16:],))


def keyed(draw: Draw) -> Iterator[Planted]:
    """Values that only their key, header, flag or place gives away."""
    word, aws, hexes = draw.of(ALNUM + "#!%", 18), draw.of(ALNUM + "+/", 40), draw.of(HEX, 64)
    b64 = base64.b64encode(f"robot:{word}".encode()).decode()
    hard = 'ha"rd\\pa' + draw.of(ALNUM, 8)
    rows = [
        ("password-env", f"DB_PASSWORD={word}", word), ("password-flag", f"mysql --password {word} --host db", word), ("password-yaml", f"  password: {word}", word), ("password-prose", f"login failed, password: {word}", word),
        ("password-json", json.dumps({"user": "a", "password": word, "n": 1}), word), ("password-hard", json.dumps({"password": hard, "n": 1}), hard[-8:]),
        ("password-nested", json.dumps({"config": json.dumps({"password": hard, "x": [1]})}), hard[-8:]), ("password-deep", json.dumps({"a": json.dumps({"b": json.dumps({"client_secret": hard})})}), hard[-8:]),
        ("password-single", f"connect(password='{word}', port=1)", word), ("password-xml", f"<password>{draw.of(ALNUM, 15)}</password>", ""), ("password-dsn", f"Server=db;User Id=sa;Password={draw.of(ALNUM, 14)};Encrypt=true", ""),
        ("password-netrc", f"machine git.example.com login bob password {word}", word), ("passphrase", f'passphrase: "{word} and more {hexes[:9]}"', hexes[:9]), ("url", f"postgres://app:{draw.of(ALNUM, 16)}@db.internal:5432/x", ""),
        ("url-token", f"cloning https://{draw.of(ALNUM, 40)}@git.example.com/x.git", ""), ("aws-secret", f"AWS_SECRET_ACCESS_KEY={aws}", aws), ("aws-secret-json", json.dumps({"SecretAccessKey": aws, "Expiration": "2026"}), aws),
        ("aws-secret-beside", f"keys AKIA{draw.of(string.ascii_uppercase + '234567', 16)} {aws} loaded", aws), ("aws-profile", f"aws_secret_access_key = {aws}", aws),
        ("presigned", f"PUT https://b.s3.us-west-2.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA{draw.of(string.ascii_uppercase + '234567', 16)}%2F20260101%2Fus-west-2%2Fs3%2Faws4_request&X-Amz-Security-Token={draw.of(ALNUM, 60)}%2F{draw.of(ALNUM, 30)}&X-Amz-Signature={hexes} 200", hexes),
        ("presigned-old", f"GET /k?AWSAccessKeyId=AKIA{draw.of(string.ascii_uppercase + '234567', 16)}&Expires=1&Signature={draw.of(ALNUM, 27)}%3D", ""), ("azure-sas", f"https://a.blob.core.windows.net/c?sv=2022&sig={draw.of(ALNUM, 43)}%3D&se=2026", ""),
        ("azure-storage", f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={draw.of(B64, 86)}==;EndpointSuffix=core", ""), ("imds-header", f"X-aws-ec2-metadata-token: {draw.of(ALNUM + '-_', 54)}==", ""),
        ("bearer", f"Authorization: Bearer {draw.of(ALNUM, 40)}", ""), ("basic", f"Authorization: Basic {b64}", b64), ("header-go", f"map[Authorization:[Bearer {draw.of(ALNUM, 40)}] Accept:[*/*]]", ""), ("header-json", json.dumps({"headers": {"Authorization": f"Bearer {draw.of(ALNUM, 32)}"}}), ""),
        ("sigv4", f"Authorization: AWS4-HMAC-SHA256 Credential=AKIA{draw.of(string.ascii_uppercase + '234567', 16)}/20260101/us-west-2/ec2/aws4_request, SignedHeaders=host, Signature={hexes}", hexes),
        ("vault-header", f"X-Vault-Token: {draw.of(ALNUM, 26)}", ""), ("gitlab-header", f"PRIVATE-TOKEN: {draw.of(ALNUM, 20)}", ""), ("cookie", f"Cookie: session={draw.of(ALNUM, 32)}; theme=dark", ""), ("curl", f"curl -u robot:{draw.of(ALNUM, 16)} https://x", ""),
        ("kubeconfig-token", f"    token: {draw.of(ALNUM, 40)}", ""), ("kubeconfig-key", f"    client-key-data: {draw.of(B64, 200)}=", ""), ("kubeconfig-cert", f"    client-certificate-data: {draw.of(B64, 200)}==", ""),
        ("docker-auth", json.dumps({"auths": {"r.example.com": {"auth": b64}}}), b64), ("docker-identity", json.dumps({"identitytoken": draw.of(ALNUM + "-", 36)}), ""), ("bootstrap-secret", f"token-secret: {draw.of(LOWER + DIGITS, 16)}", ""),
        ("api-key", f"api_key={draw.of(ALNUM, 32)}", ""), ("api-key-json", json.dumps({"apiKey": draw.of(ALNUM, 32)}), ""), ("env-list", json.dumps({"env": [{"name": "STRIPE_TOKEN", "value": word}]}), word), ("number", '{"pin": 1, "password": 8675309123, "x": 2}', "8675309123"),
        ("secret-object", json.dumps({"kind": "Secret", "data": {"tls.key": base64.b64encode(draw.of(ALNUM, 40).encode()).decode()}}), ""),
        ("encoded-message", f"UnauthorizedOperation: You are not authorized. Encoded authorization failure message: {draw.of(ALNUM + '-_', 400)}", ""),
        ("base64-json", "config " + base64.b64encode(json.dumps({"password": word, "u": 1}).encode()).decode(), base64.b64encode(json.dumps({"password": word, "u": 1}).encode()).decode()[-12:]),
        ("base64-key", "blob " + base64.b64encode(f"AKIA{draw.of(string.ascii_uppercase + '234567', 16)} x".encode()).decode(), ""), ("unicode-escape", "{\\u0022password\\u0022:\\u0022" + draw.of(ALNUM, 14) + "\\u0022}", ""),
    ]
    for kind, text, hidden in rows:
        yield Planted(kind, text, (hidden or longest_word(text),))


def private_keys(draw: Draw) -> Iterator[Planted]:
    """Private keys over several lines, as they stand in files."""
    for name in ("RSA PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"):
        body = [draw.of(B64, 64) for _ in range(6)] + [draw.of(B64, 20) + "=="]
        yield Planted(name.lower().replace(" ", "-"), "\n".join((f"-----BEGIN {name}-----", *body, f"-----END {name}-----")), tuple(line[-18:] for line in body))


def longest_word(text: str) -> str:
    """The longest run of characters that a secret is made of."""
    run, best = "", ""
    for c in text + " ":
        run = run + c if c in ALNUM + "-_+/" else ""
        best = max(best, run, key=len)
    return best[-14:]


def planted(seed: int) -> list[Planted]:
    """All of them."""
    draw = Draw(seed)
    return [*tokens(draw), *keyed(draw), *private_keys(draw)]
