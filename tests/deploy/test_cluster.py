"""cluster.yaml as Ray and AWS take it: Ray's own schema and provider, with AWS played by moto."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import boto3
import click
import pytest
import yaml
from botocore.exceptions import ClientError
from moto import mock_aws
from ray.autoscaler._private.aws import node_provider
from ray.autoscaler._private.commands import _bootstrap_config
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.autoscaler.node_launch_exception import NodeLaunchException
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
from ray.autoscaler.v2.utils import ResourceRequestUtil

from study.cloud import door, rights
from study.cloud.provider import StudyProvider
from study.cloud.stated import stated_faults

ROOT = Path(__file__).parents[2]
MINE = "198.51.100.7"
# What AWS tells of the machines that the file names; moto would go through those of all regions, for seconds.
MACHINES = [
    {"InstanceType": name, "VCpuInfo": {"DefaultVCpus": 4}, "MemoryInfo": {"SizeInMiB": 16384}}
    for name in ("m6i.xlarge", "g6.xlarge")
]
GPU_TYPES = ("gpu_spot", "gpu_on_demand")


@cache
def text():
    return (ROOT / "cluster.yaml").read_text(encoding="utf-8")


def given():
    """The file as `ray up` has it when it asks the provider."""
    config = prepare_config(yaml.safe_load(text()))
    validate_config(config)
    return config


@pytest.fixture
def aws(tmp_path, monkeypatch):
    """An empty account, a home folder without a key or a token, and no wait for what AWS would need time for."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr(door, "this_address", lambda: MINE)
    monkeypatch.setattr(node_provider, "list_ec2_instances", lambda *asked: MACHINES)
    with mock_aws():
        yield lambda service: boto3.client(service, given()["provider"]["region"])


@pytest.fixture
def resolved(aws):
    """What `ray up` makes of the file."""
    return _bootstrap_config(yaml.safe_load(text()), no_config_cache=True)


def group_of(resolved, ec2):
    ids = {
        id
        for each in resolved["available_node_types"].values()
        for id in each["node_config"]["SecurityGroupIds"]
    }
    assert len(ids) == 1
    return ec2.describe_security_groups(GroupIds=[*ids])["SecurityGroups"][0]


def test_nothing_is_left_to_fill_in_and_one_place_names_the_region():
    config = given()
    assert stated_faults(config) == []
    assert text().count(config["provider"]["region"]) == 1
    images = {each["node_config"]["ImageId"] for each in config["available_node_types"].values()}
    assert len(images) == 1 and images.pop().startswith("resolve:ssm:/aws/service/")


def test_the_head_trains_nothing_and_gpu_machines_come_and_go():
    config = given()
    types = config["available_node_types"]
    assert types[config["head_node_type"]]["resources"] == {"CPU": 0}
    assert "InstanceMarketOptions" not in types["head"]["node_config"]
    assert all(each["min_workers"] == 0 for each in types.values()) and config["idle_timeout_minutes"] >= 5
    spot, on_demand = (types[name] for name in GPU_TYPES)
    assert spot["node_config"] == on_demand["node_config"] | {"InstanceMarketOptions": {"MarketType": "spot"}}
    assert spot["resources"] == on_demand["resources"] and spot["resources"]["GPU"] == 1
    assert spot["priority"] > on_demand.get("priority", 0)


def test_every_node_has_room_and_closes_the_metadata_door():
    for each in given()["available_node_types"].values():
        (device,) = each["node_config"]["BlockDeviceMappings"]
        assert device["Ebs"]["VolumeSize"] >= 150 and device["Ebs"]["Encrypted"]
        assert each["node_config"]["MetadataOptions"]["HttpTokens"] == "required"


def test_nothing_but_ssh_from_here_is_open(aws, resolved):
    group = group_of(resolved, aws("ec2"))
    inside = [rule for rule in group["IpPermissions"] if rule["UserIdGroupPairs"]]
    outside = [rule for rule in group["IpPermissions"] if not rule["UserIdGroupPairs"]]
    assert [pair["GroupId"] for rule in inside for pair in rule["UserIdGroupPairs"]] == [group["GroupId"]]
    assert inside[0]["IpProtocol"] == "-1", "the nodes reach one another on any port, NFS's among them"
    assert [(rule["FromPort"], rule["ToPort"], rule["IpRanges"]) for rule in outside if rule["IpRanges"]] == [
        (22, 22, [{"CidrIp": f"{MINE}/32"}])
    ]


def test_stated_ranges_take_the_place_of_earlier_ones(aws, resolved):
    config = given()
    config["provider"]["ssh_from"] = ["203.0.113.0/24", "2001:db8::/32"]
    again = StudyProvider.bootstrap_config(config)
    ec2 = aws("ec2")
    ranges = [
        range
        for rule in group_of(again, ec2)["IpPermissions"]
        for range in (
            *(each["CidrIp"] for each in rule["IpRanges"]),
            *(e["CidrIpv6"] for e in rule["Ipv6Ranges"]),
        )
    ]
    assert sorted(ranges) == ["2001:db8::/32", "203.0.113.0/24"]
    assert group_of(again, ec2)["GroupId"] == group_of(resolved, ec2)["GroupId"]


def test_the_head_may_manage_its_own_cluster_and_no_more(aws, resolved):
    iam = aws("iam")
    name = resolved["available_node_types"]["head"]["node_config"]["IamInstanceProfile"]["Name"]
    (role,) = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"]
    assert iam.list_attached_role_policies(RoleName=role["RoleName"])["AttachedPolicies"] == []
    (policy,) = iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
    statements = iam.get_role_policy(RoleName=role["RoleName"], PolicyName=policy)["PolicyDocument"][
        "Statement"
    ]
    assert not [action for each in statements for action in each["Action"] if "*" in action]
    ends = [each for each in statements if "ec2:TerminateInstances" in each["Action"]]
    assert [each["Condition"]["StringEquals"] for each in ends] == [
        {"ec2:ResourceTag/ray-cluster-name": resolved["cluster_name"]}
    ]
    everywhere = [each["Action"] for each in statements if each["Resource"] == "*"]
    assert all(action.startswith("ec2:Describe") for actions in everywhere for action in actions)
    workers = [resolved["available_node_types"][name]["node_config"] for name in GPU_TYPES]
    assert not any("IamInstanceProfile" in each for each in workers)
    assert [each["RoleName"] for each in iam.list_roles(PathPrefix="/aws-service-role/spot")["Roles"]]


def test_a_profile_of_the_users_own_is_left_as_it_is(aws):
    iam = aws("iam")
    iam.create_instance_profile(InstanceProfileName="imbalance-study-head")
    assert not rights.make_head_profile(iam, "imbalance-study-head", "imbalance-study", "us-west-2")
    assert iam.list_roles()["Roles"] == []


def test_a_second_ray_up_finds_everything_and_keeps_the_token(aws, resolved):
    token = Path("~/.ray/auth_token").expanduser()
    before = token.read_text()
    assert len(before) == 64 and token.stat().st_mode & 0o777 == 0o600
    again = _bootstrap_config(yaml.safe_load(text()), no_config_cache=True)
    assert again == resolved and token.read_text() == before
    assert {name: each["resources"]["CPU"] for name, each in again["available_node_types"].items()} == {
        "head": 0,
        "gpu_spot": 4,
        "gpu_on_demand": 4,
    }


@pytest.mark.parametrize(("kind", "market"), [("gpu_spot", "spot"), ("gpu_on_demand", None), ("head", None)])
def test_machines_are_started_as_stated(aws, resolved, kind, market):
    ec2, config = aws("ec2"), resolved["available_node_types"][kind]["node_config"]
    provider = StudyProvider(resolved["provider"], resolved["cluster_name"])
    (id,) = provider.create_node(config, {"ray-node-type": "worker", "ray-user-node-type": kind}, 1)
    (instance,) = ec2.describe_instances(InstanceIds=[id])["Reservations"][0]["Instances"]
    assert instance.get("InstanceLifecycle") == market
    assert instance["InstanceType"] == config["InstanceType"] and instance["KeyName"] == config["KeyName"]
    tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
    assert tags["ray-cluster-name"] == "imbalance-study" and tags["ray-user-node-type"] == kind
    volume = instance["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    assert ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Size"] >= 150
    key = Path(resolved["auth"]["ssh_private_key"])
    assert key.stat().st_mode & 0o777 == 0o600


class NoSpot:
    """EC2 as it is where it has no spot machines."""

    def __init__(self, ec2, code):
        self._ec2, self._code = ec2, code

    def create_instances(self, **asked):
        if "InstanceMarketOptions" in asked:
            raise ClientError({"Error": {"Code": self._code, "Message": "none"}}, "RunInstances")
        return self._ec2.create_instances(**asked)


def test_where_no_spot_machine_is_to_be_had_one_is_started_on_demand(aws, resolved):
    provider = StudyProvider(resolved["provider"], resolved["cluster_name"])
    config = resolved["available_node_types"]["gpu_spot"]["node_config"]
    tags = {"ray-node-type": "worker", "ray-user-node-type": "gpu_spot"}
    usual = provider.ec2_fail_fast
    provider.ec2_fail_fast = NoSpot(usual, "InsufficientInstanceCapacity")
    (id,) = provider.create_node(config, dict(tags), 1)
    (instance,) = aws("ec2").describe_instances(InstanceIds=[id])["Reservations"][0]["Instances"]
    assert "InstanceLifecycle" not in instance
    assert {"Key": "ray-user-node-type", "Value": "gpu_spot"} in instance["Tags"], (
        "Ray waits for a node of that type"
    )
    provider.ec2_fail_fast = NoSpot(usual, "UnauthorizedOperation")
    with pytest.raises(NodeLaunchException, match="UnauthorizedOperation"):
        provider.create_node(config, dict(tags), 1)


@pytest.mark.parametrize(("missing", "kind"), [({}, "gpu_spot"), ({"gpu_spot": 0.0}, "gpu_on_demand")])
def test_the_autoscaler_starts_a_node_for_each_trial_that_waits_spot_ones_first(missing, kind):
    types = AutoscalingConfig(given(), skip_content_hash=True).get_node_type_configs()
    trial = ResourceRequestUtil.make({"CPU": 1.0, "GPU": 1.0})
    plan = ResourceDemandScheduler(event_logger=None).schedule(
        SchedulingRequest(
            disable_launch_config_check=True,
            node_type_configs=types,
            max_num_nodes=given()["max_workers"],
            resource_requests=ResourceRequestUtil.group_by_count([trial] * 3),
            recoverable_resource_availabilities=missing,
        )
    )
    assert [(launch.instance_type, launch.count) for launch in plan.to_launch] == [(kind, 3)]


def test_faults_are_all_told_before_anything_is_made(aws):
    config = given()
    config["provider"]["ssh_from"] = ["anywhere", "203.0.113.5/24"]
    config["available_node_types"]["head"]["node_config"]["ImageId"] = "ami-00000000000000000"
    config["worker_setup_commands"] = ["STUDY_SHARED_FROM=<FILE SYSTEM>:/ bash node.sh worker"]
    with pytest.raises(click.ClickException) as refused:
        StudyProvider.bootstrap_config(config)
    for said in (
        "'anywhere'",
        "host bits",
        "head.node_config.ImageId",
        "'<FILE SYSTEM>'",
        "worker_setup_commands[0]",
    ):
        assert said in refused.value.message, said
    assert aws("iam").list_instance_profiles()["InstanceProfiles"] == []
    assert not Path("~/.ray/auth_token").expanduser().exists()


@pytest.mark.parametrize("stated", [None, [], "203.0.113.0/24"])
def test_a_door_that_is_not_stated_is_refused(stated):
    config = given()
    config["provider"]["ssh_from"] = stated
    assert any("provider.ssh_from" in fault for fault in stated_faults(config))


def test_an_address_that_cannot_be_found_out_is_to_be_stated(monkeypatch):
    monkeypatch.setattr(door, "_TELLS_ADDRESS", "http://127.0.0.1:9")
    with pytest.raises(door.ConfigurationError, match=r"State in provider\.ssh_from"):
        door.this_address()


def test_the_policy_is_as_short_as_a_roles_may_be():
    assert len(json.dumps(rights.head_policy("imbalance-study", "us-west-2"))) < 10_240
