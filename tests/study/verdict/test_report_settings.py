"""What the report says of how the study was run: its command, its settings, and what decides its numbers."""

import json
import re
from dataclasses import replace

from study.config.files import load_study_file
from study.config.study import StudyConfig
from study.record.folder import StudyFolder
from study.run.facts import facts_of
from study.verdict.report import render_report
from tests.study.verdict.test_report import Page, comparison_of, render, with_facts
from trainables.corpora.drug_labels.sample import generate_sample
from trainables.settings import EncoderSettings


def test_the_command_of_the_launch_is_given_without_starting_over(tmp_path, make_study):
    make_study()
    comparison = comparison_of(tmp_path)
    assert f"study.launch adme --preset laptop --storage {tmp_path}" in Page(render_report(comparison)).text
    recorded = with_facts(
        comparison, command=["python", "-m", "study.launch", "adme", "--fresh", "--data", "a b"]
    )
    text = Page(render_report(recorded)).text
    assert "python -m study.launch adme --data 'a b'" in text
    assert "--fresh" not in text


def test_every_setting_and_whatever_decides_the_numbers_is_in_the_report(tmp_path, make_study):
    make_study()
    config = replace(load_study_file("adme", "laptop", {}), deployment_prior={"other": 0.75}, region=0.0321)
    computed_with = EncoderSettings(precision="float32", kernels="torch")
    folder = StudyFolder(tmp_path, "new")
    facts = facts_of(config, generate_sample(100), folder, None, computed_with, "sqlite:///m.db", ())
    numerics, machine = facts["numerics"], facts["machine"]
    assert {"device", "precision", "kernels", "encoder_digest", "training_code"} == numerics.keys()
    html = render_report(with_facts(comparison_of(tmp_path), **json.loads(json.dumps(facts))))
    rows = dict(re.findall(r'<tr><th scope="row">([^<]+)</th><td[^>]*>(.*?)</td></tr>', html))
    assert {*StudyConfig.__dataclass_fields__, *numerics, *machine, *facts["versions"]} <= rows.keys()
    assert (
        rows["deployment_prior"] == "other: 0.75" and rows["region"] == "0.0321" and rows["minutes"] == "10"
    )
    assert {rows[name] for name in numerics} == {*numerics.values()} and rows["cores"] == str(
        machine["cores"]
    )


def test_passwords_do_not_reach_the_report(tmp_path, make_study):
    ledger = make_study(tracking_uri="postgresql://me:s3cret@db:5432/mlflow", trials=1)
    ledger.start_trial("t", "search", "prefinetune", 0.1, {})
    ledger.finish_trial("t", "failed", "no route to http://me:s3cret@proxy/")
    assert "s3cret" not in render(tmp_path)[0]
