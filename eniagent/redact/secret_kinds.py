"""Which texts are secrets by their own form: one row for each kind, with the literal that gives it away.

Refuses guesses by entropy: ids, digests and cursors of a node are as random as keys are, and a diagnosis needs them.
Sources of the forms: the vendors' documents, and the public rule sets of gitleaks (config/gitleaks.toml, 2026-07) and detect-secrets
(plugins/), which name the kinds; the patterns are our own, wider where a cut or wrapped token must still be caught.
"""

from __future__ import annotations

B64 = "[A-Za-z0-9+/]"
WORD = "[A-Za-z0-9_-]"

FREE: tuple[tuple[str, str, str], ...] = (
    ("aws-access-key-id", r"(?:AKIA|ASIA|ABIA|ACCA)", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,20}"),
    ("aws-session-token", r"(?:IQoJb3JpZ2lu|F[wQ]oGZXIvYXdz|F[wQ]oDYXdz|AQoDYXdz)", rf"(?:IQoJb3JpZ2lu|FwoGZXIvYXdz|FQoGZXIvYXdz|FwoDYXdz|FQoDYXdz|AQoDYXdz)(?:{B64}|%2[BbFf]|%3[Dd]|\\/|=)+"),
    ("aws-bedrock-key", r"(?:ABSK|bedrock-api-key-)", rf"(?:ABSK[A-Za-z0-9+/]{{40,}}|bedrock-api-key-{B64}+)=*"),
    ("imds-token", r"AQAEA", rf"AQAEA{WORD}{{20,}}=*"),
    ("instance-signature", r"MIAGCSqGSIb3DQEH(?:[A-Za-z0-9+/=]|\\+[nr])+", r"MIAGCSqGSIb3DQEH(?:[A-Za-z0-9+/=]|\\+[nr])+"),
    ("jwt", r"ey[JK]", rf"ey[JK]{WORD}{{8,}}\.(?:ey[JK]{WORD}*)?(?:\.{WORD}*){{0,3}}"),
    ("eks-token", r"k8s-aws-v1\.", rf"k8s-aws-v1\.{WORD}+"),
    ("github-token", r"gh[pousr]_", r"gh[pousr]_[A-Za-z0-9_]{16,}"),
    ("github-token", r"github_pat_", r"github_pat_[A-Za-z0-9_]{16,}"),
    ("gitlab-token", r"(?:glpat|gldt|glrt|glrtr|glptt|glft|glsoat|glimt|glagent|gloas|glcbt|glffct)-", r"(?:glpat|gldt|glrt|glrtr|glptt|glft|glsoat|glimt|glagent|gloas|glcbt|glffct)-[A-Za-z0-9_.-]{16,}"),
    ("gitlab-token", r"GR1348941", rf"GR1348941{WORD}{{16,}}"),
    ("slack-token", r"xox[abeoprs](?:\.xox[bp])?-", r"xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{8,}"),
    ("slack-token", r"xapp-[0-9]-", r"xapp-[0-9]-[A-Za-z0-9-]{8,}"),
    ("webhook-url", r"hooks\.slack\.com/(?:services|workflows|triggers)/", r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/_-]{12,}"),
    ("webhook-url", r"webhook\.office\.com/webhookb2/", r"webhook\.office\.com/webhookb2/[A-Za-z0-9@/_-]{12,}"),
    ("webhook-url", r"discord(?:app)?\.com/api/webhooks/", r"discord(?:app)?\.com/api/webhooks/[0-9]+/[A-Za-z0-9_-]{12,}"),
    ("stripe-key", r"(?:sk|rk|whsec)_(?:live|test|prod)_", r"(?:sk|rk|whsec)_(?:live|test|prod)_[A-Za-z0-9]{10,}"),
    ("stripe-key", r"whsec_", r"whsec_[A-Za-z0-9+/=]{20,}"),
    ("gcp-key", r"AIza", rf"AIza{WORD}{{30,}}"),
    ("gcp-token", r"ya29\.", r"ya29\.[A-Za-z0-9._-]{16,}"),
    ("gcp-key", r"GOCSPX-", rf"GOCSPX-{WORD}{{16,}}"),
    ("azure-secret", r"[0-9]Q~", r"[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}"),
    ("npm-token", r"npm_", r"npm_[A-Za-z0-9]{30,}"),
    ("pypi-token", r"pypi-AgE", rf"pypi-AgE{WORD}{{16,}}"),
    ("rubygems-token", r"rubygems_", r"rubygems_[a-f0-9]{40,}"),
    ("docker-token", r"dckr_(?:pat|oat)_", rf"dckr_(?:pat|oat)_{WORD}{{16,}}"),
    ("sendgrid-key", r"SG\.", rf"SG\.{WORD}{{16,}}\.{WORD}{{16,}}"),
    ("sendinblue-key", r"xkeysib-", r"xkeysib-[a-f0-9]{40,}(?:-[A-Za-z0-9]+)?"),
    ("digitalocean-token", r"do[opr]_v1_", r"do[opr]_v1_[a-f0-9]{40,}"),
    ("newrelic-key", r"NR(?:AK|II|JS|RA)-", r"NR(?:AK|II|JS|RA)-[A-Za-z0-9-]{16,}"),
    ("vault-token", r"hv[bsr]\.", rf"hv[bsr]\.{WORD}{{20,}}"),
    ("terraform-token", r"\.atlasv1\.", r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{40,}"),
    ("doppler-token", r"dp\.(?:pt|st|ct|sa|scim|audit)\.", r"dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9_.-]{30,}"),
    ("grafana-token", r"glc_", r"glc_[A-Za-z0-9+/]{24,}=*"),
    ("grafana-token", r"glsa_", r"glsa_[A-Za-z0-9]{24,}_[A-Fa-f0-9]{8}"),
    ("openai-key", r"sk-(?:proj|svcacct|admin|ant|or)-", rf"sk-(?:proj|svcacct|admin|ant|or)-{WORD}{{16,}}"),
    ("openai-key", r"T3BlbkFJ", r"sk-[A-Za-z0-9]{16,}T3BlbkFJ[A-Za-z0-9]+"),
    ("huggingface-token", r"api_org_", r"api_org_[A-Za-z]{30,}"),
    ("perplexity-key", r"pplx-", r"pplx-[A-Za-z0-9]{32,}"),
    ("shopify-token", r"shp(?:at|ca|pa|ss)_", r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{24,}"),
    ("square-token", r"sq0(?:atp|csp)-", rf"sq0(?:atp|csp)-{WORD}{{16,}}"),
    ("telegram-token", r"[0-9]:AA", rf"[0-9]{{8,10}}:AA{WORD}{{30,}}"),
    ("linear-key", r"lin_api_", r"lin_api_[A-Za-z0-9]{24,}"),
    ("atlassian-token", r"AT(?:ATT3|CTT3)", r"AT(?:ATT3|CTT3)[A-Za-z0-9_=.-]{24,}"),
    ("bitbucket-token", r"ATBB", r"ATBB[A-Za-z0-9]{24,}"),
    ("age-key", r"AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[A-Z0-9]{30,}"),
    ("planetscale-token", r"pscale_(?:tkn|oauth|pw)_", r"pscale_(?:tkn|oauth|pw)_[A-Za-z0-9_=.-]{24,}"),
    ("postman-key", r"PMAK-", r"PMAK-[a-fA-F0-9]{20,}-[a-fA-F0-9]{20,}"),
    ("pulumi-token", r"pul-[a-f0-9]{8}", r"pul-[a-f0-9]{36,}"),
    ("sentry-token", r"sntry[su]_", r"sntry[su]_[A-Za-z0-9+/=_]{24,}"),
    ("sourcegraph-token", r"sgp_", r"sgp_(?:[a-zA-Z0-9]+_)?[a-fA-F0-9]{36,}"),
    ("artifactory-key", r"AKCp", r"AKCp[A-Za-z0-9]{24,}"),
    ("artifactory-token", r"cmVmdGtu", r"cmVmdGtu[A-Za-z0-9]{24,}"),
    ("1password-token", r"ops_eyJ", rf"ops_eyJ{B64}{{40,}}=*"),
    ("1password-key", r"A3-[A-Z0-9]{6}-", r"A3-[A-Z0-9]{6}-[A-Z0-9]{5,6}(?:-?[A-Z0-9]{5}){3,5}"),
    ("databricks-token", r"dapi[a-f0-9]{6}", r"dapi[a-f0-9]{30,}(?:-[0-9])?"),
    ("dynatrace-token", r"dt0[a-z]", r"dt0[a-z][0-9]{2}\.[A-Za-z0-9]{20,}\.[A-Za-z0-9]{40,}"),
    ("cloudflare-key", r"v1\.0-", r"v1\.0-[a-f0-9]{24}-[a-f0-9]{100,}"),
    ("fly-token", r"(?:fo1_|fm[12][ar]?_)", r"(?:fo1_[A-Za-z0-9_-]{40,}|fm[12][ar]?_[A-Za-z0-9+/]{40,}=*)"),
    ("heroku-key", r"HRKU-AA", rf"HRKU-AA{WORD}{{24,}}"),
    ("harness-key", r"[ps]at\.[A-Za-z0-9_-]{22}\.", r"(?:pat|sat)\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{20}"),
    ("airtable-token", r"pat[A-Za-z0-9]{14}\.", r"pat[A-Za-z0-9]{14}\.[a-f0-9]{40,}"),
    ("notion-token", r"ntn_", r"ntn_[0-9]{11}[A-Za-z0-9]{30,}"),
    ("readme-key", r"rdme_", r"rdme_[a-z0-9]{40,}"),
    ("shippo-token", r"shippo_(?:live|test)_", r"shippo_(?:live|test)_[a-fA-F0-9]{30,}"),
    ("duffel-token", r"duffel_(?:test|live)_", r"duffel_(?:test|live)_[A-Za-z0-9_=-]{30,}"),
    ("easypost-token", r"EZ[AT]K[A-Za-z0-9]{8}", r"EZ[AT]K[A-Za-z0-9]{40,}"),
    ("flutterwave-key", r"FLWSECK(?:_TEST)?-", r"FLWSECK(?:_TEST)?-[A-Za-z0-9]{12,}(?:-X)?"),
    ("openshift-token", r"sha256~", rf"sha256~{WORD}{{30,}}"),
    ("infracost-key", r"ico-[A-Za-z0-9]{12}", r"ico-[A-Za-z0-9]{32}"),
    ("prefect-key", r"pnu_", r"pnu_[A-Za-z0-9]{30,}"),
    ("maxmind-key", r"_mmk", r"[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk"),
    ("clojars-token", r"CLOJARS_", r"CLOJARS_[a-z0-9]{40,}"),
    ("alibaba-key", r"LTAI", r"LTAI[A-Za-z0-9]{16,24}"),
    ("facebook-token", r"EAA[A-Z][A-Za-z0-9]{12}", r"EAA[A-Z][A-Za-z0-9]{90,}"),
    ("adobe-secret", r"p8e-", r"p8e-[A-Za-z0-9]{30,}"),
    ("mailchimp-key", r"[0-9a-f]-us[0-9]", r"[a-f0-9]{32}-us[0-9]{1,2}"),
    ("tailscale-key", r"tskey-", r"tskey-[a-z]+-[A-Za-z0-9-]{12,}"),
)
"""Kind, what gives it away, its form. The first letters occur nowhere else, so such a secret may stand in the middle of any text."""

BOUND: tuple[tuple[str, str, str], ...] = (
    ("twilio-key", r"SK[0-9a-f]{4}", r"SK[0-9a-f]{32}"),
    ("mailgun-key", r"key-[0-9a-f]{4}", r"(?:key|pubkey)-[0-9a-f]{32}"),
    ("huggingface-token", r"hf_", r"hf_[A-Za-z0-9]{30,}"),
    ("openai-key", r"sk-[A-Za-z0-9]{8}", r"sk-[A-Za-z0-9]{32,}"),
    ("bootstrap-token", r"\.[A-Za-z0-9]{16}", r"[a-z0-9]{6}\.[a-z0-9]{16}"),
    ("vault-token", r"s\.[A-Za-z0-9]{16}", r"s\.[A-Za-z0-9]{24}"),
    ("square-token", r"EAAA", rf"EAAA{WORD}{{30,}}"),
    ("octopus-key", r"API-[A-Z0-9]{4}", r"API-[A-Z0-9]{26}"),
    ("yandex-key", r"AQVN", rf"AQVN{WORD}{{35,}}"),
)
"""Kinds that are taken for one only where no letter or digit stands on either side, and that hold letters and digits."""

PRESIGNED = ("x-amz-signature", "x-amz-credential", "x-amz-security-token", "awsaccesskeyid", "signature", "sig", "sharedaccesssignature")
"""Query parameters of presigned and shared-access URLs."""

PASSWORDS = ("password", "passwd", "passphrase", "passcode", "pwd")
TOKENS = ("token", "secret", "credentials?", "session[_-]?id", "jwt", "otp", "totp", "seed[_-]?phrase", "csrf", "connection[_-]?string")
KEYS = (
    "(?:api|access|secret|private|signing|encryption|decryption|master|shared|account|storage|auth|ssh|service|app|application|client|license|session|"
    "consumer|deploy|webhook|hmac|aes|rsa|gpg|pgp|crypt|db|database)[_. -]?keys?(?:[_-]?data)?",
    "client[_-]certificate[_-]data",
)
SUFFIX = "(?:[_-]?(?:value|hash|data|plain|plaintext|text|base64|b64|encrypted|id|[0-9]{1,2}))?"
"""What may follow such a word and still name the secret itself. `tokenFile`, `secretName` and the like name something else."""

ENCODED_MESSAGE = r"(?i:encoded authorization failure message|encodedmessage|encoded message)"
"""EC2 appends to UnauthorizedOperation a message that tells, once decoded, who asked for what. Source: EC2 API reference, DecodeAuthorizationMessage."""
