"""What the head of a cluster may do on AWS: start, tag and end instances of its own cluster, and nothing else."""

from __future__ import annotations

import json
import time
from typing import Any

# Marks profiles that were made here; one of the user's own is never changed.
PATH = "/imbalance-study/"
_SPREAD_S = 15  # until all of AWS knows a new profile, as Ray waits for its own
_SPOT = "spot.amazonaws.com"
_PUBLIC_IMAGES = "arn:aws:ssm:*::parameter/aws/service/deeplearning/*"


def head_policy(cluster: str, region: str) -> dict[str, Any]:
    """Return the policy of a cluster's head: what Ray's provider asks of EC2, within one region."""
    ec2 = f"arn:aws:ec2:{region}:*"
    own = {"StringEquals": {"ec2:ResourceTag/ray-cluster-name": cluster}}
    needed = ("subnet", "security-group", "key-pair", "network-interface", "volume", "spot-instances-request")
    return {
        "Version": "2012-10-17",
        "Statement": [
            _allow("Look", ["ec2:DescribeInstances", "ec2:DescribeInstanceTypes"], "*"),
            _allow(
                "StartInstancesOfThisCluster",
                ["ec2:RunInstances"],
                f"{ec2}:instance/*",
                {"StringEquals": {"aws:RequestTag/ray-cluster-name": cluster}},
            ),
            _allow(
                "WithWhatAnInstanceNeeds",
                ["ec2:RunInstances"],
                [f"arn:aws:ec2:{region}::image/*", *(f"{ec2}:{kind}/*" for kind in needed)],
            ),
            _allow(
                "TagNewInstances",
                ["ec2:CreateTags"],
                [f"{ec2}:instance/*", f"{ec2}:volume/*", f"{ec2}:spot-instances-request/*"],
                {"StringEquals": {"ec2:CreateAction": "RunInstances"}},
            ),
            _allow(
                "TagAndEndInstancesOfThisCluster",
                ["ec2:CreateTags", "ec2:TerminateInstances"],
                f"{ec2}:instance/*",
                own,
            ),
            _allow("FindTheImage", ["ssm:GetParameters"], _PUBLIC_IMAGES),
        ],
    }


def _allow(
    name: str, actions: list[str], on: str | list[str], where: dict[str, Any] | None = None
) -> dict[str, Any]:
    condition = {} if where is None else {"Condition": where}
    return {"Sid": name, "Effect": "Allow", "Action": actions, "Resource": on, **condition}


def make_head_profile(iam: Any, profile: str, cluster: str, region: str) -> bool:
    """Make an instance profile with a role of the same name, or bring one that was made here up to date.

    Parameters
    ----------
    iam
        A client of boto3.
    profile, cluster, region
        Its name, and the cluster whose head gets it.

    Returns
    -------
    bool
        Whether the profile is this project's; one that the user made is left as it is.
    """
    try:
        found = iam.get_instance_profile(InstanceProfileName=profile)["InstanceProfile"]
    except iam.exceptions.NoSuchEntityException:
        found = None
    if found is not None and found["Path"] != PATH:
        return False
    if found is None:
        _make(iam, profile)
    policy = json.dumps(head_policy(cluster, region))
    iam.put_role_policy(RoleName=profile, PolicyName=f"{cluster}-{region}", PolicyDocument=policy)
    if found is None:
        time.sleep(_SPREAD_S)
    return True


def _make(iam: Any, name: str) -> None:
    trusted = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trusted]})
    try:
        iam.create_role(RoleName=name, Path=PATH, AssumeRolePolicyDocument=document)
    except iam.exceptions.EntityAlreadyExistsException:  # an earlier `ray up` was broken off here
        iam.get_role(RoleName=name)
    iam.create_instance_profile(InstanceProfileName=name, Path=PATH)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)


def allow_spot(iam: Any) -> None:
    """Make the role with which EC2 serves an account's spot requests; its first request would else need wide rights."""
    if not iam.list_roles(PathPrefix=f"/aws-service-role/{_SPOT}/")["Roles"]:
        iam.create_service_linked_role(AWSServiceName=_SPOT)
