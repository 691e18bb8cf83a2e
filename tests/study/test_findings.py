"""A finished study as a page: what stands in it, and what must not."""

from __future__ import annotations

import json
from dataclasses import replace

from search_spaces import shi2022_newsgroups20
from study.findings import build_parser, findings, without_places
from study.verdict.study_page import published_for
from tests.study.confirmed_study import confirm


def write(tmp_path, *more):
    out = tmp_path / "findings"
    assert (
        findings(build_parser().parse_args(["adme", "--storage", str(tmp_path), "--output", str(out), *more]))
        == 0
    )
    return out


def test_a_page_its_json_and_its_figure(tmp_path, make_study):
    make_study()
    out = write(tmp_path)
    page, values = (out / "adme.md").read_text(), json.loads((out / "adme.json").read_text())
    assert "| vanilla finetuning |" in page and "the reference" in page and "adme.svg" in page
    assert values["metric"] == "val/macro_f1" and values["ratios"]
    for ratio in values["ratios"]:
        arms = {arm["arm"]: arm for arm in ratio["arms"]}
        assert {"vanilla", "prefinetune"} <= set(arms)
        gain = arms["prefinetune"]["metrics"]["val/macro_f1"]["gain_over_vanilla"]
        assert gain["n"] > 1 and gain["low"] < gain["mean"] < gain["high"]
    assert (out / "adme.svg").read_text().count("<svg") == 1


def test_a_confirmed_study_shows_its_verdicts_first(tmp_path, make_study):
    ledger = make_study(ratios=(0.1,), failed=False)
    confirm(ledger, ratios=(0.1,))
    out = write(tmp_path)
    page, values = (out / "adme.md").read_text(), json.loads((out / "adme.json").read_text())
    confirmed, searched = (
        page.index("## Confirmed: macro F1 on the test split"),
        page.index("macro F1 on validation"),
    )
    assert confirmed < searched
    [winner] = [line for line in page.splitlines() if line.startswith("| pre-finetuning, the winner |")]
    assert "| better |" in winner and "| 10 |" in winner
    assert "## F1 of each class on the test split" in page[confirmed:searched]
    roles = {arm["role"]: arm for arm in values["confirmation"]}
    assert roles["winner"]["verdict"] == "better" and roles["winner"]["gain"]["metric"] == "test/macro_f1"
    assert (
        "TF-IDF" in (out / "adme.svg").read_text() and "on the test split" in (out / "adme.svg").read_text()
    )


def test_nothing_of_the_machine_but_its_processor_is_told(tmp_path, make_study):
    make_study()
    facts = json.loads((tmp_path / "adme" / "study.json").read_text())
    facts["command"] = [
        "python",
        "-m",
        "study.launch",
        "adme",
        "--data",
        str(tmp_path / "labels"),
        "--storage",
        str(tmp_path),
    ]
    facts["corpus"]["source"] = str(tmp_path / "labels")
    facts["remarks"] = [f"{tmp_path / 'labels'} has 3 rows without a label."]
    facts["machine"] = {"processor": "Some CPU", "instructions": "AVX2", "cores": 2}
    (tmp_path / "adme" / "study.json").write_text(json.dumps(facts))
    out = write(tmp_path)
    for file in out.iterdir():
        assert str(tmp_path) not in file.read_text(), file
    page = (out / "adme.md").read_text()
    assert "study.launch adme --data PATH\n" in page and "Some CPU (AVX2, 2 cores)" in page
    assert "has 3 rows without a label" in page


def test_the_published_figures_of_the_protocol_stand_beside_ours():
    step = published_for(shi2022_newsgroups20.PUBLISHED, {"config": {"profile": "step"}})
    tailed = published_for(shi2022_newsgroups20.PUBLISHED, {"config": {"profile": "long_tailed"}})
    assert {(f.arm, f.mean) for f in step if f.ratio == 0.1} == {("vanilla", 0.6433), ("paper", 0.6781)}
    assert {(f.arm, f.mean) for f in tailed} == {("vanilla", 0.7137), ("paper", 0.7571)}
    with_eda = {"config": {"profile": "long_tailed"}, "paper_operator": "eda"}
    assert {f.arm for f in published_for(shi2022_newsgroups20.PUBLISHED, with_eda)} == {"vanilla"}


def test_places_are_left_out_of_a_command():
    words = [
        "python",
        "-m",
        "study.ladder",
        "adme",
        "--storage",
        "/x",
        "--data=/y",
        "--fresh",
        "--set",
        "a=1",
    ]
    assert without_places(words) == "python -m study.ladder adme --data PATH --set a=1"


def test_a_study_on_gpus_names_them_and_not_the_heads_processor_as_what_computed(tmp_path, make_study):
    ledger = make_study()
    facts = json.loads((tmp_path / "adme" / "study.json").read_text())
    facts["machine"] = {"processor": "Some CPU", "instructions": "AVX2", "cores": 2}
    facts["numerics"] = {**facts.get("numerics", {}), "device": "cuda"}
    (tmp_path / "adme" / "study.json").write_text(json.dumps(facts))
    page = (write(tmp_path) / "adme.md").read_text()
    assert "of work on GPUs whose kind was not recorded, launched on Some CPU" in page
    trial = next(t for t in ledger.of_phase("search") if t.replicates)
    for gpu in ("Tesla T4", "NVIDIA L4"):
        ledger.add_replicate(
            trial.trial_id, replace(trial.replicates[0], replicate=len(trial.replicates), gpu=gpu)
        )
    out = write(tmp_path)
    assert (
        "of work on NVIDIA L4, Tesla T4, launched on Some CPU (AVX2, 2 cores)"
        in (out / "adme.md").read_text()
    )
    assert json.loads((out / "adme.json").read_text())["gpus"] == ["NVIDIA L4", "Tesla T4"]
