"""Ray's AWS provider, with the rights, the door and the token of this project: ``provider.module`` of cluster.yaml.

By itself it would give the head all of EC2 and S3, let ssh in from anywhere, and start Ray without a token.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from botocore.exceptions import ClientError
from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
from ray.autoscaler._private.aws.utils import resource_cache

from study.cloud.door import narrow_ssh, ssh_ranges
from study.cloud.rights import allow_spot, make_head_profile
from study.cloud.stated import SSH_FROM, stated_faults
from study.cloud.token import make_token
from trainables.errors import ConfigurationError

_TOKEN = ".ray/auth_token"


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
    if any("InstanceMarketOptions" in each["node_config"] for each in types.values()):
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
