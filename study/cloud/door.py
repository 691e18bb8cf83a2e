"""Who may reach a cluster: its own nodes on any port, stated addresses by ssh, and nobody else."""

from __future__ import annotations

import ipaddress
import urllib.request
from collections.abc import Iterable
from typing import Any

from study.cloud.stated import SSH_FROM, THIS_MACHINE
from trainables.errors import ConfigurationError

_SSH = 22
_TELLS_ADDRESS = "https://checkip.amazonaws.com"


def this_address() -> str:
    """Return the address at which AWS sees this machine.

    Raises
    ------
    ConfigurationError
        It cannot be found out.
    """
    try:
        with urllib.request.urlopen(_TELLS_ADDRESS, timeout=10) as answer:
            return str(ipaddress.ip_address(answer.read().decode().strip()))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{_TELLS_ADDRESS} does not tell the address of this machine ({error}). State in provider.{SSH_FROM} the "
            "ranges that may reach the cluster by ssh, e.g. [203.0.113.0/24]."
        ) from error


def ssh_ranges(stated: Iterable[str]) -> set[str]:
    """Return the ranges from which ssh may come."""
    addresses = (this_address() if given == THIS_MACHINE else given for given in stated)
    return {str(ipaddress.ip_network(address)) for address in addresses}


def narrow_ssh(ec2: Any, groups: Iterable[str], ranges: set[str]) -> None:
    """Let ssh into security groups from some ranges only. Ray's provider lets it in from anywhere.

    Parameters
    ----------
    ec2
        A client of boto3.
    groups, ranges
        Ids of the security groups, and the ranges.
    """
    for group in ec2.describe_security_groups(GroupIds=list(groups))["SecurityGroups"]:
        doors = [
            rule for rule in group["IpPermissions"] if rule.get("FromPort") == rule.get("ToPort") == _SSH
        ]
        v4 = {each["CidrIp"] for rule in doors for each in rule["IpRanges"]}
        v6 = {each["CidrIpv6"] for rule in doors for each in rule["Ipv6Ranges"]}
        if new := _rule(ranges - v4 - v6):
            ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpPermissions=new)
        if old := _rule((v4 | v6) - ranges):
            ec2.revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=old)


def _rule(ranges: set[str]) -> list[dict[str, Any]]:
    if not ranges:
        return []
    v4 = [{"CidrIp": each} for each in sorted(ranges) if ":" not in each]
    v6 = [{"CidrIpv6": each} for each in sorted(ranges) if ":" in each]
    of = {**({"IpRanges": v4} if v4 else {}), **({"Ipv6Ranges": v6} if v6 else {})}
    return [{"IpProtocol": "tcp", "FromPort": _SSH, "ToPort": _SSH, **of}]
