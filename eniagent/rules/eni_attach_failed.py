"""eni-attach-failed: EC2 accepts no further ENI: attachment limit, account quota, or security-group limit.

Refuses to call the node full by itself: foreign ENIs and quotas give the same answer.
"""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.model.finding import Remedy
from eniagent.rules import ec2_evidence, remedies
from eniagent.rules.refusal import check_refusal
from eniagent.rules.rule import GUIDE, Fires, Look, Outcome, Rule, fact

_BY_CODE = {
    "AttachmentLimitExceeded": "The instance has all the ENIs its type allows; ENIs that ipamd does not manage take slots. Detach foreign ENIs, or tag them node.k8s.amazonaws.com/no_manage and lower max-pods.",
    "NetworkInterfaceLimitExceeded": "The region's ENI quota is used up. Delete leaked ENIs (status `available`, description aws-K8S-*) or raise the quota.",
    "InvalidGroup.NotFound": "A security group that ipamd puts on new ENIs does not exist (any more). Put an existing group on the primary ENI, or into the ENIConfig.",
    "InvalidSecurityGroupID.NotFound": "A security group that ipamd puts on new ENIs does not exist (any more). Put an existing group on the primary ENI, or into the ENIConfig.",
    "InvalidSubnetID.NotFound": "The subnet for new ENIs does not exist (any more). Correct the ENIConfig or the subnet tags.",
    "SecurityGroupsPerInterfaceLimitExceeded": "The ENI asks for more security groups than the account allows per interface. Remove groups from the primary ENI or the ENIConfig, or raise the quota.",
}


def check(facts: Facts) -> Outcome:
    """A standing refusal to create or attach an ENI."""
    outcome = check_refusal(facts, "eni-attach-failed", subject=facts.identity.instance_id)
    if not isinstance(outcome, Fires) or outcome.until:
        named = check_refusal(facts, "eniconfig-invalid", subject=facts.identity.instance_id)  # A subnet or group that EC2 does not know.
        outcome = named if isinstance(named, Fires) and not named.until else outcome
    if isinstance(outcome, Fires) and facts.metadata and facts.eni_limit is not None:
        attached = fact("ENIs attached", len(facts.metadata.enis), "IMDS", expected=f"at most {facts.eni_limit}", ref="network/interfaces/macs/")
        return outcome._replace(context=(*outcome.context, attached, *ec2_evidence.attached(facts)))
    return outcome


def remedy(facts: Facts) -> Remedy:
    """By the code that EC2 gave."""
    found, recorded = facts.refused.get("eni-attach-failed") or facts.refused.get("eniconfig-invalid"), facts.trail.get("eni-attach-failed")
    code = found.code if found else recorded.newest.code if recorded else ""
    text = _BY_CODE.get(code, "Read the code that EC2 gave: attachment limit, ENI quota or security-group limit.")
    return remedies.remedy(
        text,
        remedies.aws(facts, f"ec2 describe-network-interfaces --filters Name=attachment.instance-id,Values={facts.identity.instance_id or 'INSTANCE'} --query 'NetworkInterfaces[].[NetworkInterfaceId,Description,Groups[].GroupId]' --output json", rights="ec2:DescribeNetworkInterfaces"),
        remedies.aws(facts, "service-quotas list-service-quotas --service-code vpc --query \"Quotas[?contains(QuotaName,'nterface')].[QuotaName,Value]\" --output text", rights="servicequotas:ListServiceQuotas"),
        do_not=("Do not raise WARM_ENI_TARGET: it asks for more of what is refused.",),
        recovers_by="by itself within seconds of the limit being lifted (ipamd retries every 5 s)",
    )


RULE = Rule(
    code="eni-attach-failed",
    kind="cause",
    severity="critical",
    summary="EC2 refuses another ENI: a limit on attachments, ENIs or security groups",
    meaning="ipamd needs an ENI and EC2 refuses to create or attach it because a limit is reached that is not the subnet's.",
    proof="`AttachmentLimitExceeded`, `NetworkInterfaceLimitExceeded` or `SecurityGroupsPerInterfaceLimitExceeded`.",
    refutation="An ENI attached since.",
    check=check,
    remedy=remedy,
    reference=GUIDE,
    explains=("allocation-failures", "pool-exhausted", "slow-pod-start", "eni-limit-reached", "max-pods-mismatch", "warm-pool-lag"),
    looks=(Look("grep -E 'LimitExceeded' /var/log/aws-routed-eni/ipamd.log | tail -3"),),
)
