"""Ray's AWS provider, with the rights, the door and the token of this project: ``provider.module`` of cluster.yaml.

By itself it would give the head all of EC2 and S3, let ssh in from anywhere, start Ray without a token, and ask for
spot machines for ever where there are none: Ray's autoscaler takes no other type of node when EC2 refuses one.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import click
from botocore.exceptions import ClientError
from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
from ray.autoscaler._private.aws.utils import resource_cache
from ray.autoscaler.node_launch_exception import NodeLaunchException

from study.cloud.door import narrow_ssh, ssh_ranges
from study.cloud.rights import allow_spot, make_head_profile
from study.cloud.stated import SSH_FROM, stated_faults
from study.cloud.token import make_token
from trainables.errors import ConfigurationError

logger = logging.getLogger(__name__)

_TOKEN = ".ray/auth_token"
_SPOT = "InstanceMarketOptions"
# What EC2 says where it has no spot machine to give, or none at that price, or no more to this account.
_NO_SPOT = (
    "InsufficientInstanceCapacity",
    "UnfulfillableCapacity",
    "SpotMaxPriceTooLow",
    "MaxSpotInstanceCountExceeded",
)


class StudyProvider(AWSNodeProvider):  # type: ignore[misc]
    """EC2 instances for a study."""

    @staticmethod
    def bootstrap_config(cluster_config: dict[str, Any]) -> dict[str, Any]:
        """Return the cluster's file with all that AWS gave ids to; called by `ray up` before it starts the head."""
        try:
            return _bootstrapped(cluster_config)
        except ConfigurationError as error:
            faults = "\n\n".join(error.faults)
            raise click.ClickException(f"the cluster's file, nothing was started\n\n{faults}") from error
        except ClientError as error:
            raise click.ClickException(
                f"AWS refused: {error}. Starting a cluster takes credentials that may start instances and make a role."
            ) from error

    def create_node(self, node_config: dict[str, Any], tags: dict[str, str], count: int) -> dict[str, Any]:
        """Start machines, on demand where no spot ones are to be had; the next ones are asked for as spot again."""
        try:
            created: dict[str, Any] = super().create_node(node_config, tags, count)
        except NodeLaunchException as refused:
            if _SPOT not in node_config or refused.category not in _NO_SPOT:
                raise
            logger.warning("%s. The machine is started on demand instead.", refused)
            on_demand = {name: value for name, value in node_config.items() if name != _SPOT}
            created = super().create_node(on_demand, tags, count)
        return created


def _bootstrapped(config: dict[str, Any]) -> dict[str, Any]:
    if faults := stated_faults(config):
        raise ConfigurationError(faults)
    provider = config["provider"]
    ranges = ssh_ranges(provider[SSH_FROM])
    for remote, local in config["file_mounts"].items():
        if remote.endswith(_TOKEN):
            make_token(Path(local).expanduser())
    credentials = provider.get("aws_credentials", {})
    iam = resource_cache("iam", provider["region"], **credentials).meta.client
    types = config["available_node_types"]
    head = types[config["head_node_type"]]["node_config"]
    if name := head.get("IamInstanceProfile", {}).get("Name"):
        make_head_profile(iam, name, config["cluster_name"], provider["region"])
    if any(_SPOT in each["node_config"] for each in types.values()):
        allow_spot(iam)
    rays_own = {name for name, each in types.items() if "SecurityGroupIds" not in each["node_config"]}
    resolved: dict[str, Any] = AWSNodeProvider.bootstrap_config(config)
    groups = {
        group
        for name in rays_own
        for group in resolved["available_node_types"][name]["node_config"]["SecurityGroupIds"]
    }
    if groups:
        ec2 = resource_cache("ec2", provider["region"], **credentials).meta.client
        narrow_ssh(ec2, groups, ranges)
    return resolved
