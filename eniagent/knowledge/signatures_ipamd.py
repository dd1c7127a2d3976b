"""Signatures of ipamd.log: its life, its pool, its calls to EC2, IMDS and the API server.

Source: amazon-vpc-cni-k8s v1.0.0 to v1.23.1, messages as printed; order matters, the first match names the line.
"""

from __future__ import annotations

from eniagent.knowledge.signature import I, N, Role, Signature

_C, _E, _S, _OK, _NO = Role.CAUSE, Role.EFFECT, Role.STATE, Role.SUCCESS, Role.NOISE
ELSEWHERE = ("cilium", "metrics-helper", "npa", "other")
"""Programs that are not ours and whose failed look at instance metadata tells the same."""
_ENI = r"(?P<eni>eni-[0-9a-f]+)"
_EC2_WORDS = (
    r"Failed to CreateNetworkInterface|[Ff]ailed to create network interface|Failed to attach (?:ENI|eni)|error attaching ENI"
    r"|Failed to increase pool size due to not able to allocate ENI|Failed to allocate \d+ IP addresses on an ENI"
    r"|Failed to allocate a private IP|[Ff]ailed to allocate all available|failed to allocate one IP|Failed to allocate IPv6"
    r"|Failed to call ec2:|assignIPv6Prefix; err|Error trying to allocate ENI|unable to change the ENI's attribute"
    r"|failed to tag managed ENI|Failed to check if primary subnet is excluded|Unable to retrieve instance data from EC2"
    r"|Failed to (?:get|retrieve) (?:ENI|eni) \S+ information from EC2|failed to check subnet exclusion|attachENI: failed|AllocENI: "
    r"|Failed to increase pool size|Insufficient IP Addresses due to|failed ec2:|Failed ec2:|error allocating|tagging ENI|Error tagging"
    r"|Unable to get leaked ENIs|unable to describe subnets|DescribeNetworkInterfaces failed|awsAPIError ErrorCode|Failed to setup eni \S+ network|awserr\.requestError="
    r"|api error \w+(?:\.\w+)*: |status code: [45]\d\d, request id|\b(?:InsufficientFreeAddressesInSubnet|InsufficientCidrBlocks|AttachmentLimitExceeded|NetworkInterfaceLimitExceeded|RequestLimitExceeded|UnauthorizedOperation|WebIdentityErr|NoCredentialProviders)\b"
)

IPAMD: tuple[Signature, ...] = (
    # Life. The detail of an initialization failure is scanned once more by the reader: it names the cause.
    Signature("init-failed", (I, N), r"[Ii]nitialization failure(?:: ?|ipamd)(?P<detail>.*)", _E, "ipamd-not-ready"),
    Signature("ipamd-start", (I, N), r"Starting L-IPAMD\s*(?P<version>v?\d[\w.+-]*)?", _S),
    Signature("ipamd-serving", (I, N), r"Serving RPC Handler|Serving introspection endpoints|node init completed successfully", _OK, excludes=("ipamd-not-ready",)),
    Signature("limits-unknown", (I, N), r"unknown instance type|unsupported instance type|couldn't find ENI Limit for instance|Failed to get ENI limits from file|Failed calling DescribeInstanceTypes|Failed to get hypervisor", _C, "instance-limits-unknown"),
    Signature("config-fatal-ipv6", (I, N), r"global unicast IPv6 not found|[Nn]o IPv6 (?:address|prefix|CIDR)|IPv6 is supported only in Prefix Delegation mode|IPv6 (?:mode )?is (?:only )?supported (?:only )?(?:on|with) nitro|IPv4 and IPv6 are both (?:enabled|disabled)|Prefix Delegation is not supported on non-nitro instance", _C, "ipv6-misconfigured"),
    Signature("config-fatal", (I, N), r"failed to validate configuration|Setting WARM_PREFIX_TARGET = 0 is not supported|MUST be a valid positive integer|cannot be less than \d+ or greater than|cannot be set to stdout|must be set to either 'strict' or 'standard'", _C, "ipamd-not-ready"),
    Signature("checkpoint-corrupt", (I, N), r"recovery from backing store: |failed ipam state recovery|unexpected checkpointVersion|failed normalize checkpoint data", _C, "ipamd-not-ready"),
    Signature("eniconfig-missing", (I,), r"error while retrieving eniconfig: (?P<detail>.*)|eniconfig: eniconfig is not available|No ENIConfig could be found for this node|Failed to get pod ENI config|ENIConfig\S* \\*\"(?P<name>[\w.-]+)\\*\" not found", _C, "eniconfig-invalid"),
    Signature("custom-networking-no-eni", (I,), r"Failed to attach any ENIs for custom networking", _E, "ipamd-not-ready"),
    Signature("api-unreachable", (I, N), r"Unable to reach API Server|Failed to communicate with K8S Server|\.eks\.amazonaws\.com\S* (?:dial |net/http: |context deadline|EOF)|Failed to check API server connectivity|error communicating with apiserver|Failed to get node,|Failed to create kube client|dial tcp (?:10\.100\.0\.1|172\.20\.0\.1):443: |https://(?:10\.100\.0\.1|172\.20\.0\.1):443\S* (?:net/http: |dial |context deadline)", _C, "apiserver-unreachable"),
    Signature("api-degraded", (I,), r"Proceeding without API server connectivity", _S, "apiserver-unreachable", versions=">=1.19.4"),
    Signature("api-testing", (I, N), r"Testing communication with server|waiting for API server connectivity|Waiting to connect API server", _S),
    Signature("api-reached", (I, N), r"API server connectivity established|Successful communication with the Cluster|Starting eniconfig watch|ENIConfig watch", _OK, excludes=("apiserver-unreachable",)),
    # Assignment.
    Signature("add-failed", (I,), r"Returning failure response for AddNetwork|Send AddNetworkReply: .*(?:Success: false|err: [^<\s]|DeviceNumber: ?-1, err: [^<])", _E, "allocation-failures"),
    Signature("add-ok", (I,), r"Send AddNetworkReply: (?:Success: true|IPv4Addr:? ?\d|IPv4Addr:? ?, IPv6Addr:? ?[0-9a-f]|.*DeviceNumber: ?-1, err: <nil>)(?:.*PodVlanId: ?(?P<vlan>\d+))?", _OK),
    Signature("pool-empty", (I,), r"[Nn]o available IP(?:/Prefix)? addresses", _E, "pool-exhausted"),
    Signature("checkpoint-write-failed", (I,), r"Failed to update backing store", _C, "pod-network-setup-failed"),
    Signature("trunk-missing", (I,), r"No trunk ENI (?:found|Link)|No slot available for a trunk ENI|[Ff]ailed to get Branch ENI resource|Failed to unmarshal PodENIData|Failed to parse pod-ENI annotation|Failed to add SGP feature", _C, "branch-eni-unavailable"),
    Signature("version-skew", (I,), r"wrong client version", _C, "ipamd-unreachable"),
    # Pool.
    Signature("subnet-lacks", (I,), r"subnet doesn't seem to have enough IPs/Prefixes", _C, "subnet-exhausted"),
    Signature("backoff-120s", (I,), r"Recently we had InsufficientCidr error hence will wait for (?P<wait>\S+)", _S, "subnet-exhausted"),
    Signature("iam-event", (I, "event"), r"MissingIAMPermissions.*ec2:(?P<operation>\w+)", _C, "iam-denied"),
    Signature("imds-wait", (I,), r"Not able to find the right ENI yet \(attempt (?P<attempt>\d+)/(?P<of>\d+)\)", _S),
    Signature("imds-unseen-eni", (I,), r"Unable to discover attached (?:ENI|IPs for ENI) from metadata service|giving up trying to retrieve ENIs from metadata|This ENI only has \d+ (?:IP addresses|Prefixes|IPv4 addresses)", _C, "imds-out-of-sync"),
    Signature("metadata-mismatch", (I,), r"Instance metadata does not match data store|logOutOfSyncState|Skipping IP \S+ on ENI \S+ because it does not belong to this ENI", _S, "imds-out-of-sync"),
    Signature("force-removed", (I,), r"Force removing eni " + _ENI + r" with (?P<pods>\d+) assigned pods", _C, "eni-lost"),
    Signature("eni-detached-behind", (I,), r"Reconcile and delete detached ENI " + _ENI, _C, "eni-lost"),
    Signature("ip-in-use-gone", (I,), r"Failed to reconcile and delete IP (?P<ip>\S+) on ENI", _C, "eni-lost"),
    # cloud-init asks from the first second of the instance on.
    Signature("imds-early-try", (I, N, *ELSEWHERE), r"Calling 'http://169\.254\.169\.254/\S+' failed \[\d/\d+s\]", _NO),
    Signature("imds-failed", (I, N, *ELSEWHERE), r"ec2imds: |(?:Get|Put|dial tcp) \\*\"?(?:http://)?169\.254\.169\.254|169\.254\.169\.254.*(?i:refused|tim(?:ed|e)[- ]?out|timeout|cancel|unreachable|reset|no route|\b40[134]\b)|(?i:fail|unable|error|could not).* from instance metadata|Failed to retrieve \S+ from instance metadata|Failed to retrieve region data|Calling 'http://169\.254\.169\.254/\S+' failed \[\d\d+/|EC2MetadataRequestError|EC2MetadataError|IP pool reconcile: (?:Failed to get attached ENI info|No ENI found at all in metadata)|unable to retrieve instance metadata|failed to get instance metadata|[Ff]ailed to get primary MAC from IMDS", _C, "imds-unreachable"),
    Signature("eni-limit-hit", (I,), r"Skipping ENI allocation as the (?:instance's )?max ENI limit|due to max ENI already attached|Exceeded instance (?:ENI|eni) attachment limit|no available device number|hasRoom=false|PrivateIpAddressLimitExceeded", _S, "eni-limit-reached"),
    Signature("non-schedulable", (I,), r"AWS CNI is on a non schedulable node", _S),
    Signature("eni-delete-failed", (I,), r"(?i:delet|detach|FreeENI).*is currently in use|Not able to delete ENI yet|(?:unable|[Ff]ailed) to delete ENI[^:]*$", _S),
    Signature("ec2-refused", (I,), r"(?:" + _EC2_WORDS + r").*", _C),
    Signature("custom-networking", (I,), r"Custom networking enabled (?P<on>true|false)|[Uu]sing (?:a )?custom network config", _S),
    Signature("eni-create-subnet", (I,), r"Creating ENI with security groups: \[(?P<groups>[^\]]*)\] in subnet: (?P<subnet>subnet-\w+)", _S),
    Signature("eni-create-try", (I,), r"Trying to allocate (?P<count>\d+) IP(?:/Prefix)? addresses on new ENI", _S),
    Signature("address-try", (I,), r"Trying to allocate (?P<count>\d+) (?:IP|Prefix)\S* ?\S* on ENI " + _ENI, _S),
    Signature("cidr-free-try", (I,), r"Trying to unassign the following (?P<what>IPs|Prefixes) \[.*\] from ENI " + _ENI, _S),
    Signature("eni-free-try", (I,), r"Trying to free ENI: " + _ENI, _S),
    Signature("eni-created", (I,), r"Created a new ENI: " + _ENI, _OK),
    Signature("eni-attached", (I,), r"Successfully created and attached a new ENI " + _ENI, _OK, excludes=("eni-limit-reached", "eni-attach-failed")),
    Signature("addresses-allocated", (I,), r"Allocated (?P<count>\d+) private (?P<what>IP addresses|IP prefixes|IPv6 prefix)", _OK, excludes=("subnet-exhausted",)),
    Signature("eni-freed", (I,), r"Successfully (?:freed|deleted) ENI:? " + _ENI, _OK),
    Signature("pool-grown", (I,), r"Successfully increased (?:IP|Prefix) pool", _OK),
    Signature("pool-stats", (I,), r"(?i:stats)\b[^:]*?(?::| -) .*?(?i:total(?: IPs)?(?:/Prefixes)?)\s?[:=]?\s?(?P<total>\d+)(?:/(?P<prefixes>\d+))?,? .*?(?i:assigned|used)\s?(?:IPs)?(?:/CooldownIPs)?\s?[:=]?\s?(?P<assigned>\d+)(?:/(?P<cooling>\d+))?(?:.*?(?i:cooldown)\s?(?:IPs)?:? ?(?P<cooldown>\d+))?(?:.*?max(?:IPsPerENI|AddrsPerENI) ?= ?(?P<per_eni>\d+))?", _S),
    Signature("pool-low", (I,), r"IP pool is too low|Prefix target is \d+, short of (?P<short>\d+)|short(?:\(prefixes\))?: [1-9]", _S),
    Signature("pool-manager", (I,), r"IP pool manager - max pods: (?P<max_pods>\d+), warm IP target: (?P<warm_ip>\d+), warm prefix target: (?P<warm_prefix>\d+), warm ENI target: (?P<warm_eni>\d+), minimum IP target: (?P<minimum_ip>\d+)", _S),
    Signature("cooldown-entered", (I,), r"IP (?P<ip>\S+) entering cooldown period of (?P<period>\d+)", _S, versions=">=1.21.2"),
    Signature("reconciled", (I,), r"Successfully Reconciled ENI/IP pool", _OK, excludes=("imds-unreachable",)),
    Signature("link-missing", (I,), r"failed to find the link (?:primary ENI with|which uses) MAC|no interface found which uses mac address", _C, "imds-out-of-sync"),
    # The host's iptables, at every start: without the comment match or the nat table ipamd cannot come up.
    Signature("iptables-failed", (I, N), r"ipt\.NewChain error|can't initialize iptables table|Couldn't load match|iptables v[\d.]+ \(\w+\): ", _C, "ipamd-not-ready"),
    Signature("host-init-failed", (I, N), r"Failed to set ?up host network ?failed|failed to configure \S+ RPF check|failed to (?:set ?up|initialize) host network", _C, "ipamd-not-ready"),
    Signature("host-network-failed", (I,), r"host network setup: failed|failed to set up host network|Failed to set ?up (?:host network|ENI \S+ network)|setupENINetwork: (?:failed|unable)|Error trying to set up ENI", _C, "pod-network-setup-failed"),
    # A restart with an incomplete metadata answer: the store drops pods that live. Source: datastore.go, up to 1.11.
    Signature("restored-unknown", (I,), r"uses unknown IP Address (?P<ip>\S+) - presuming stale/dead", _C, "imds-out-of-sync"),
    Signature("trunk-label", (I,), r"has-trunk-attached\W+is already\W+false|has-trunk-attached\W+false", _S, "branch-eni-unavailable"),
    Signature("stale-allocation", (I,), r"stale IP allocation for ID|host-side veth not found for pod", _S, "address-leaked"),
    Signature("panic", (I, N), r"panic: (?P<detail>.*)|fatal error: |goroutine \d+ \[running\]|SIGSEGV", _C, "ipamd-crashing"),
    Signature("unknown-pod", (I,), r"unknown pod|Failed to find (?:sandbox|IPAM entry|pod)", _NO),
)
