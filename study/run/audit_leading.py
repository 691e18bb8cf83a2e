"""Audits of the augmentation behind each ratio's leading trial, made once and kept in the study's folder.

The report and MLflow read the stored audits, so that neither needs the corpus.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from study.audits.stored import audit_folder, load_audit
from study.audits.view import examples_page
from study.record.folder import write_atomically
from study.terminal.program import written
from study.verdict.comparison import Comparison
from trainables.augment.audit.auditor import Auditor
from trainables.augment.registry import OPERATORS, make_operator, operator_identity
from trainables.corpora.corpus import Corpus
from trainables.errors import ConfigurationError, TrialFailed
from trainables.method.arms import TWO_STAGE_ARMS
from trainables.model.encoder import encoder_digest
from trainables.prepared import PreparedCorpus, RunSettings
from trainables.replicate import draw_rows
from trainables.reuse.cache import ContentCache
from trainables.settings import TrialSettings, augments, digest_of

ROWS, COPIES, EXAMPLES = 200, 3, 20
_VERSION = 1  # raised when the same settings no longer give the same audit


def audit_leading(
    comparison: Comparison,
    corpus: Corpus,
    prepared: PreparedCorpus,
    run: RunSettings,
    say: Callable[[str], None],
) -> list[str]:
    """Audit the augmentation of every ratio's leading trial, unless the audit is already stored.

    At most 200 rows of the first replicate's draw are audited; the classifiers that judge the labels learn from
    all training rows. Operators whose answers cost money are left to ``study.augment``. An audit that fails is
    reported and left out: the trials themselves are done.

    Parameters
    ----------
    comparison
        The study so far; audits are stored beside its report.
    corpus, prepared, run
        What the trials were run on.
    say
        Called with a line before work that takes seconds, and with one for each trial that gets no audit.

    Returns
    -------
    list of str
        Ids of the trials that now have an audit.
    """
    study = comparison.report.parent
    group_of_text = dict(zip(corpus.texts, corpus.groups, strict=True))
    audited = []
    for leading in comparison.best.values():
        record = leading.record
        settings = TrialSettings.from_config(record.config)
        if settings.arm not in TWO_STAGE_ARMS or not augments(settings.stage1_data):
            continue  # nothing was augmented
        if OPERATORS[settings.operator].caches:
            say(
                f"The augmentations of {record.trial_id} are not audited, since every answer is paid for: "
                f"`{written('augment')} {comparison.study['study']} --operator {settings.operator} "
                f"--strength {settings.strength:g}`, with this launch's --data, does it."
            )
            continue
        try:
            key = _key(settings, prepared, run)
            stored = load_audit(study, record.trial_id)
            if stored is None or stored.get("key") != key:
                say(f"Auditing the augmentations of {record.trial_id}.")
                _store(study, record.trial_id, key, settings, group_of_text, prepared, run)
        except (ConfigurationError, OSError, TrialFailed) as error:
            say(
                f"The augmentations of {record.trial_id} could not be audited ({error}); the next launch tries again."
            )
            continue
        audited.append(record.trial_id)
    return audited


def _key(settings: TrialSettings, prepared: PreparedCorpus, run: RunSettings) -> str:
    options = run.operator_options.get(settings.operator, {})
    return digest_of(
        {
            "version": _VERSION,
            "corpus": prepared.digest,
            "ratio": settings.imbalance_ratio,
            "draw": [run.study_seed, str(run.profile), run.n_max, run.max_train_rows],
            "operator": [operator_identity(settings.operator, options), settings.strength],
            "options": dict(options),
            "encoder": [repr(run.encoder), encoder_digest(run.encoder)],
            "size": [ROWS, COPIES, EXAMPLES],
        }
    )


def _store(
    study: Path,
    trial_id: str,
    key: str,
    settings: TrialSettings,
    group_of_text: dict[str, str],
    prepared: PreparedCorpus,
    run: RunSettings,
) -> None:
    auditor = Auditor(
        prepared.train_texts,
        prepared.train_labels,
        [group_of_text[text] for text in prepared.train_texts],
        run.encoder,
        rows=ROWS,
        copies=COPIES,
        seed=run.study_seed,
        among=draw_rows(prepared, run, settings.imbalance_ratio, 0),
    )
    operator = make_operator(
        settings.operator,
        settings.strength,
        run.encoder,
        run.operator_options.get(settings.operator),
        ContentCache(Path(run.cache_dir), run.cache_max_bytes),
    )
    audit, examples = auditor.audit(settings.operator, settings.strength, operator)
    figures, shown = audit.to_json(), [asdict(example) for example in examples[:EXAMPLES]]
    stored = {
        "key": key,
        "trial_id": trial_id,
        "imbalance_ratio": settings.imbalance_ratio,
        "audit": figures,
        "classes": list(prepared.classes),
        "examples": shown,
    }
    folder = audit_folder(study, trial_id)
    write_atomically(folder / "examples.html", examples_page(figures, shown, prepared.classes))
    write_atomically(folder / "audit.json", json.dumps(stored, indent=2, ensure_ascii=False) + "\n")
