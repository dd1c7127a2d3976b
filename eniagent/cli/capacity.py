"""`eniagent capacity`: ENI and address limits, max pods in every mode, warm targets from the churn seen, and what-ifs.

Refuses to guess a type: it is named, or IMDS or the captures tell it.
"""

# No `from __future__ import annotations` here: on Python 3.9 typer reads options from evaluated annotations only.

import enum
from typing import TYPE_CHECKING, Annotated, Optional

import msgspec
import typer

from eniagent.cli.exit_codes import Code, UsageError
from eniagent.cli.globals_ import Globals
from eniagent.cli.log import Log
from eniagent.cli.output import say

if TYPE_CHECKING:
    from eniagent.case.capacity import Capacity, Mode
    from eniagent.case.facts import Facts
    from eniagent.cli.cases import Looked
    from eniagent.knowledge.instance_limits import InstanceLimits
    from eniagent.model.churn import Churn
    from eniagent.model.reading import Reading

FIELDS = ("metadata", "settings", "environment", "ipam", "ipamd_log", "kubelet_config", "sandboxes")
"""What is looked at on a node."""


class CapacityFormat(str, enum.Enum):
    """The words of `--format` here."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What stood on the command line about the mode; None: as the node has it, else off."""

    prefix: Optional[bool]
    custom_networking: Optional[bool]
    ipv6: Optional[bool]
    max_eni: Optional[int]
    vcpus: Optional[int]
    pods: Optional[int]


def capacity(
    ctx: typer.Context,
    instance_type: Annotated[Optional[str], typer.Option("--instance-type", metavar="TYPE", help="The type [this node's, from IMDS]")] = None,
    prefix: Annotated[Optional[bool], typer.Option("--prefix/--no-prefix", help="Prefix mode [as on this node, else off]")] = None,
    custom_networking: Annotated[
        Optional[bool], typer.Option("--custom-networking/--no-custom-networking", help="Custom networking [as on this node, else off]")
    ] = None,
    ipv6: Annotated[Optional[bool], typer.Option("--ipv6/--no-ipv6", help="IPv6 mode [as on this node, else off]")] = None,
    max_eni: Annotated[Optional[int], typer.Option("--max-eni", min=1, metavar="N", help="The CNI's MAX_ENI")] = None,
    vcpus: Annotated[Optional[int], typer.Option("--vcpus", min=1, metavar="N", help="vCPUs, when launched with other than the type's own")] = None,
    pods: Annotated[Optional[int], typer.Option("--pods", min=1, metavar="N", help="What if a node had N pods: does it fit, and which type holds them")] = None,
    from_: Annotated[Optional[str], typer.Option("--from", metavar="PATH", help="Captures of a node, instead of this node")] = None,
    since: Annotated[Optional[str], typer.Option(metavar="DURATION", help="How far back to read the log for the churn [1h]")] = None,
    deadline: Annotated[Optional[str], typer.Option(metavar="SECONDS", help="Answer by then with what was seen [20]")] = None,
    format_: Annotated[CapacityFormat, typer.Option("--format", help="Form of the answer")] = CapacityFormat.TEXT,
) -> int:
    """Say how many addresses and pods a node can have, what its pool should keep warm, and what would fit."""
    from eniagent.report.capacity import render

    given: Globals = ctx.obj
    asked = Asked(prefix=prefix, custom_networking=custom_networking, ipv6=ipv6, max_eni=max_eni, vcpus=vcpus, pods=pods)
    looked: Optional[Looked] = None
    if from_ is not None or instance_type is None:
        looked = _look(given, path=from_, since=since, deadline=deadline)
    say(render(_answer(instance_type, asked, looked), format_name=format_.value))
    return Code.DEADLINE if looked is not None and looked.cut_off else Code.OK


def _look(given: Globals, *, path: Optional[str], since: Optional[str], deadline: Optional[str]) -> "Looked":
    from eniagent.cli import cases

    settings = given.settings(since_s=since, deadline_s=deadline)
    log = Log(verbose=given.verbose and not given.quiet, log_format=settings.log_format)
    return cases.case_in_time(settings, path=path, log=log, fields=FIELDS)


def _answer(instance_type: Optional[str], asked: Asked, looked: Optional["Looked"]) -> "Capacity":
    from eniagent.case import capacity as computed
    from eniagent.case.facts import Facts
    from eniagent.knowledge.instance_limits import all_limits, provenance

    facts = Facts(looked.case) if looked is not None else None
    limits, origin = _limits(instance_type, facts)
    mode = _mode(asked, facts)
    about = provenance()
    answer = computed.Capacity(
        limits=limits, type_origin=origin, counts=computed.counts(limits, mode), table=f"{about.source}, {about.date}",
        present=computed.present(facts) if facts is not None else None,
        what_if=computed.what_if(limits, mode, asked.pods, all_limits()) if asked.pods is not None else None,
    )
    if looked is None or facts is None:
        return answer
    churn = _churn(looked, facts)
    seen, why = _seen(churn)
    if seen is None or mode.ipv6:
        return msgspec.structs.replace(answer, churn=seen, why_no_targets="IPv6 mode ignores warm targets" if mode.ipv6 else why)
    targets = computed.warm_targets(limits, mode, seen, in_use=facts.pool.in_use if facts.pool is not None else None)
    return msgspec.structs.replace(answer, churn=seen, warm_targets=targets)


def _churn(looked: "Looked", facts: "Facts") -> "Reading[Churn]":
    from eniagent.sources import Span
    from eniagent.sources.churn import read_churn

    return read_churn(looked.seen, Span(until=facts.at, since=facts.now.since), rest_s=facts.settings.cooldown_s)


def _seen(churn: "Reading[Churn]") -> "tuple[Optional[Churn], str]":
    """The churn, or why none can be told; a log of a minute is no sample."""
    from eniagent.model.reading import Unobserved

    if isinstance(churn, Unobserved):
        return None, f"the churn was not seen (ipamd.log: {churn.why.value}{': ' + churn.detail if churn.detail else ''})"
    if not churn.value.arrivals:
        return None, f"no pod asked for an address in the {churn.value.minutes:.0f} minutes that ipamd.log covers; widen --since"
    return churn.value, ""


def _limits(instance_type: Optional[str], facts: Optional["Facts"]) -> "tuple[InstanceLimits, str]":
    """The type's limits and who named the type. Raises `UsageError` where nobody did, or the table does not know it."""
    from eniagent.knowledge.instance_limits import limits

    named = instance_type or (facts.identity.instance_type if facts is not None else "")
    if not named:
        unseen = facts.unseen("metadata") if facts is not None else None
        told = f": {unseen.why.value}{' (' + unseen.detail + ')' if unseen.detail else ''}" if unseen is not None else ""
        raise UsageError(f"IMDS does not tell the instance type{told}; name it with --instance-type, as m5.large")
    found = limits(named)
    if found is None:
        raise UsageError(f"{named!r} is no instance type of the table{_near(named)}")
    return found, "--instance-type" if instance_type else "as IMDS says" if facts is not None and facts.metadata else "as the captures say"


def _near(named: str) -> str:
    """The types that may have been meant, and how old the table is."""
    import difflib

    from eniagent.knowledge.instance_limits import all_limits, provenance

    known = [row.type for row in sorted(all_limits(), key=lambda row: (row.bare_metal, row.vcpus, row.type))]
    wanted = named.strip().lower()
    family = [name for name in known if name.partition(".")[0] == wanted.partition(".")[0]]
    near = difflib.get_close_matches(wanted, family or known, n=5, cutoff=0.5) or family[:5]
    about = provenance()
    dated = f"the table has {about.count} types, of {about.date}"
    return f"; did you mean {', '.join(near)}? ({dated})" if near else f" ({dated}); write it as m5.large"


def _mode(asked: Asked, facts: Optional["Facts"]) -> "Mode":
    """What was asked for; where nothing was, what the node is run with; else secondary-IP mode."""
    from eniagent.case.capacity import Mode

    told = facts.settings if facts is not None else None

    def chosen(flag: Optional[bool], setting: Optional[bool]) -> bool:
        return bool(setting) if flag is None else flag

    ipv6 = chosen(asked.ipv6, told.ipv6 if told and asked.prefix is None else None)
    max_eni = asked.max_eni if asked.max_eni is not None else told.max_eni if told else None
    return Mode(
        prefix=ipv6 or chosen(asked.prefix, told.prefix if told else None),
        custom_networking=not ipv6 and chosen(asked.custom_networking, told.custom_networking if told else None),
        ipv6=ipv6, max_eni=max_eni, vcpus=asked.vcpus,
    )
