"""Where secrets are planted: each kind of file that a captures directory holds, around one text."""

from __future__ import annotations

import json
import urllib.parse
from typing import Callable

ORDINARY = '{"level":"debug","ts":"2026-11-25T14:10:29.585Z","caller":"awsutils/awsutils.go:453","msg":"Found vpc-id: vpc-04283fefc63f0cd0e "}\n'


def _zap(text: str) -> str:
    return ORDINARY + json.dumps({"level": "error", "ts": "2026-11-25T14:12:09.597Z", "caller": "ipamd/ipamd.go:1", "msg": text}) + "\n" + ORDINARY


def _seelog(text: str) -> str:
    return f"2026-11-25T14:12:09.597Z [ERROR] ipamd: {text}\n"


def _journal(text: str) -> str:
    entry = {"__CURSOR": "s=77622d125cce0bd8a36af4c35429fcef;i=b1;b=6f5cc89ac2680d5ef6c3de2fb4d2f622;m=dc985141;t=6611a69a7034f;x=a0829ca796153a2e", "SYSLOG_IDENTIFIER": "kubelet", "MESSAGE": text}
    return json.dumps(entry) + "\n"


def _klog(text: str) -> str:
    return _journal(f'E1125 14:12:09.860943    3745 kuberuntime_manager.go:1182] "CreatePodSandbox for pod failed" err={json.dumps(text)} pod="default/web-1"')


def _journal_lines(text: str) -> str:
    return "".join(_journal(line) for line in text.split("\n"))


def _metrics(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'# TYPE awscni_aws_utils_error_count counter\nawscni_aws_utils_error_count{{error="{escaped}",fn="x"}} 3\n'


def _plain(text: str) -> str:
    return f"# a file\n{text}\nend: 1\n"


PLACES: dict[str, Callable[[str], str]] = {
    "logs/ipamd.log": _zap,
    "logs/ipamd.log (old form)": _seelog,
    "logs/plugin.log": lambda text: _zap(f"Received CNI add request: ContainerID(5176) Args(IgnoreUnknown=1;K8S_POD_NAME=web) argsStdinData({json.dumps({'cniVersion': '0.4.0', 'note': text})})"),
    "journal/kubelet.jsonl": _klog,
    "journal/containerd.jsonl": _journal,
    "journal/kubelet.jsonl (a line each)": _journal_lines,
    "ipamd/enis.json": lambda text: json.dumps({"0": {"TotalIPs": 18, "ENIs": {"eni-0087835b92558589e": {"ID": "eni-0087835b92558589e", "Note": text}}}}),
    "ipamd/metrics.txt": _metrics,
    "ipamd/env.json": lambda text: json.dumps({"WARM_ENI_TARGET": "1", "NOTE": text}, indent=1),
    "imds/tree.json": lambda text: json.dumps({"meta-data/x": {"status": 200, "body": json.dumps({"Code": "Success", "Note": text}, indent=2)}}, indent=1),
    "kubelet/config.json": lambda text: json.dumps({"kind": "KubeletConfiguration", "maxPods": 29, "note": text}),
    "kubelet/cmdline.txt": _plain,
    "cni/net.d/10-aws.conflist": lambda text: json.dumps({"cniVersion": "0.4.0", "plugins": [{"type": "aws-cni", "note": text}]}, indent=2),
    "runtime/pods.json": lambda text: json.dumps({"items": [{"metadata": {"annotations": {"last-applied": json.dumps({"note": text})}}}]}),
    "host/iptables-save.txt": _plain,
}
"""File -> what it looks like with the text in it."""

URL_ENCODED = "logs/ipamd.log (URL-encoded)"


def url_encoded(text: str) -> str:
    """The text as a query's value in a log line."""
    return _zap(f"GET /report?body={urllib.parse.quote(text, safe='')}&n=1 200")
