"""Writes methods.md: a paragraph for the paper, the weights' checksums, notes on the study, and BibTeX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ferwatch.errors import FerwatchError
from ferwatch.models.pretrained import read_metadata, shipped_checksum, shipped_weights
from ferwatch.study.events import AFTER_SECONDS, BEFORE_SECONDS, BIN_SECONDS
from ferwatch.study.participants import Row
from ferwatch.study.recordings import StudyRecording, different_frames
from ferwatch.study.statistics import MIN_PARTICIPANTS, RESAMPLES
from ferwatch.utils.version import __version__
from ferwatch.utils.wording import counted

BIBTEX = """\
@software{ferwatch,
  author = {{The ferwatch founders}},
  title = {ferwatch: emotion timelines from video},
  version = {VERSION},
  url = {https://github.com/ferwatch/ferwatch}
}
@inproceedings{goodfellow2013,
  author = {Goodfellow, Ian J. and others},
  title = {Challenges in representation learning: A report on three machine learning contests},
  booktitle = {Neural Information Processing (ICONIP)},
  year = {2013},
  doi = {10.1007/978-3-642-42051-1_16}
}
@inproceedings{barsoum2016,
  author = {Barsoum, Emad and Zhang, Cha and Canton Ferrer, Cristian and Zhang, Zhengyou},
  title = {Training deep networks for facial expression recognition with crowd-sourced label distribution},
  booktitle = {ACM International Conference on Multimodal Interaction},
  year = {2016},
  doi = {10.1145/2993148.2993165}
}
@article{bazarevsky2019,
  author = {Bazarevsky, Valentin and others},
  title = {BlazeFace: Sub-millisecond neural face detection on mobile GPUs},
  journal = {arXiv:1907.05047},
  year = {2019}
}
@article{hedges1981,
  author = {Hedges, Larry V.},
  title = {Distribution theory for Glass's estimator of effect size and related estimators},
  journal = {Journal of Educational Statistics},
  volume = {6},
  pages = {107--128},
  year = {1981},
  doi = {10.3102/10769986006002107}
}
@book{efron1993,
  author = {Efron, Bradley and Tibshirani, Robert J.},
  title = {An introduction to the bootstrap},
  publisher = {Chapman \\& Hall},
  year = {1993}
}
@article{benjamini1995,
  author = {Benjamini, Yoav and Hochberg, Yosef},
  title = {Controlling the false discovery rate: A practical and powerful approach to multiple testing},
  journal = {Journal of the Royal Statistical Society B},
  volume = {57},
  pages = {289--300},
  year = {1995},
  doi = {10.1111/j.2517-6161.1995.tb02031.x}
}
"""


def methods_text(
    recordings: Sequence[StudyRecording],
    contrasts: Sequence[Row],
    events: int,
    notes: Sequence[str],
) -> str:
    """Returns the text of methods.md: the paragraph, the weights, notes on this study, and the references.

    contrasts: lines of contrasts.csv. events: number of events around which a face was seen.
    """
    participants, videos = len({r.plan.participant for r in recordings}), len({r.run for r in recordings})
    source = "" if videos == len(recordings) else f" from {counted(videos, 'video')}"
    sentences = [
        f"Facial expressions in {counted(len(recordings), 'recording')}{source} of "
        f"{counted(participants, 'participant')} were analysed with ferwatch {_versions(recordings)} [@ferwatch].",
        f"In {_sampling(recordings)} faces were detected (MediaPipe BlazeFace [@bazarevsky2019]), aligned by eyes and "
        f"mouth, and classified into anger, disgust, fear, happiness, sadness, surprise and neutral by "
        f"{_models(recordings)}.",
        *_accuracy(recordings),
        _baselines(recordings),
        _faces_found(recordings),
        f"Episodes are the best segmentation of the probabilities over time {_smoothing(recordings)}; a participant's "
        "share of an expression is its share of the time in episodes.",
    ]
    tested = [row for row in contrasts if not row["note"]]
    if tested:
        sentences.append(
            f"{_tests(tested)}, with Hedges' g [@hedges1981] (for pairs: of the differences), "
            f"{_intervals(tested)}, and p values adjusted for the false discovery rate within each "
            f"condition and measure [@benjamini1995]; pairs of fewer than {MIN_PARTICIPANTS} people, and groups "
            f"of which one has fewer than {MIN_PARTICIPANTS}, are not tested."
        )
    if events:
        sentences.append(
            f"Around {counted(events, 'event')}, probabilities were averaged in bins of {BIN_SECONDS:g} s up to "
            f"{AFTER_SECONDS:g} s after the event and compared with the mean of the {BEFORE_SECONDS:g} s before it."
        )
    facts = [f"- {note}" for note in notes] or ["- Nothing was left out."]
    return "\n".join(
        [
            "# Methods",
            "",
            " ".join(sentence.strip() for sentence in sentences if sentence),
            "",
            "An expression is not a feeling: these are judgements of what faces show. Report the agreement with coders "
            "of your own material beside them (`ferwatch agree`).",
            "",
            "## Model weights",
            "",
            *(f"- {name}: SHA-256 `{checksum}`" for name, checksum in _weights(recordings)),
            "",
            "## Notes on this study",
            "",
            *facts,
            "",
            "## References",
            "",
            "```bibtex",
            BIBTEX.replace("VERSION", __version__).rstrip(),
            "```",
            "",
        ]
    )


def _tests(tested: Sequence[Row]) -> str:
    """Return which conditions were compared by which tests, as the beginning of a sentence."""
    tests = {"paired": "paired t-tests over participants", "independent": "Welch's t-tests between groups"}
    designs: dict[str, list[str]] = {}
    for row in tested:
        used = designs.setdefault(str(row["condition"]), [])
        if tests[str(row["design"])] not in used:
            used.append(tests[str(row["design"])])
    by_tests: dict[str, list[str]] = {}
    for condition, used in designs.items():
        by_tests.setdefault(_listed(used), []).append(condition)
    return "; ".join(
        f"{'levels' if i else 'Levels'} of {_listed(conditions)} were compared by {used}"
        for i, (used, conditions) in enumerate(by_tests.items())
    )


def _intervals(tested: Sequence[Row]) -> str:
    """Return the methods of the intervals of contrasts."""
    bootstrap = f"95% bootstrap-t intervals over participants ({RESAMPLES:,} draws) [@efron1993]"
    used = {str(row["interval"]) for row in tested}
    if used == {"t"}:
        return "the 95% intervals of these tests"
    return bootstrap if "t" not in used else f"{bootstrap} or, where few people differ, those of the tests"


def _faces_found(recordings: Sequence[StudyRecording]) -> str:
    """Return a sentence on how often the participants' faces were found; "" without any sampled frame."""
    frames, rows = sum(r.totals.frames for r in recordings), sum(r.totals.rows for r in recordings)
    if not frames:
        return ""
    different = different_frames(recordings)
    shared = "" if different == frames else ", each of which counts for every participant in it"
    return f"The participant's face was found in {rows / frames:.1%} of {different:,} sampled frames{shared}."


def _accuracy(recordings: Sequence[StudyRecording]) -> list[str]:
    """Return a sentence on each network, its labels, and their accuracy on FER2013's PublicTest.

    Other weights than those shipped with this version get a sentence that says so.
    """
    used: dict[tuple[str, str], set[str]] = {}
    for recording in recordings:
        used.setdefault(_weights_of(recording), set()).add(str(recording.facts.get("labels", "")))
    sentences = []
    for (name, checksum), labels in sorted(used.items()):
        try:
            is_shipped = shipped_checksum(name) == checksum
            about = read_metadata(shipped_weights(name))["about"] if is_shipped else {}
        except (FerwatchError, KeyError):
            is_shipped, about = False, {}
        if not is_shipped:
            sentences.append(
                f"The weights of `{name}` with the SHA-256 {checksum[:12]} are not those shipped with ferwatch "
                f"{__version__}: their accuracy is not known here."
            )
        sentences += [_labels_sentence(name, chosen, about, is_shipped) for chosen in sorted(labels) if chosen]
    return sentences


def _labels_sentence(name: str, labels: str, about: dict[str, Any], is_shipped: bool) -> str:
    """Return a sentence on what the probabilities of a network with these labels mean, and how good they are."""
    meaning = {
        "crowd": "what people see in a face (labels `crowd`: the votes of FER+ [@barsoum2016])",
        "fer2013": "the label that FER2013 [@goodfellow2013] gives a face (labels `fer2013`)",
    }.get(labels, f"the labels `{labels}`")
    said = f"The probabilities of `{name}` are for {meaning}"
    if not is_shipped:
        return f"{said}."
    try:
        if labels == "crowd":
            figures = about["heads"]["video"]
            return (
                f"{said}; the shipped weights agree with the emotion that most FER+ raters see in "
                f"{figures['crowd_agreement']:.1%} of the {figures['crowd_n']:,} faces of FER2013's PublicTest "
                f"[@goodfellow2013] that have one (macro recall {figures['crowd_macro_recall']:.2f})"
                f"{_adjustment(about)}."
            )
        figures = about["public_test"]
        return (
            f"{said}; the shipped weights reach accuracy {figures['accuracy']:.1%} and macro-F1 "
            f"{figures['macro_f1']:.2f} on FER2013's PublicTest."
        )
    except (KeyError, TypeError, ValueError):
        return f"{said}."


def _adjustment(about: dict[str, Any]) -> str:
    """Return what a video changes of the predicted votes, as the end of a sentence."""
    offsets = about["recipe"].get("video_offsets", {})
    words = [f"{emotion} {'more' if offset > 0 else 'less'}" for emotion, offset in offsets.items() if offset]
    return f", in videos with {_listed(words)} likely than the predicted votes" if words else ""


def _weights_of(recording: StudyRecording) -> tuple[str, str]:
    """Return the name of the network of a recording's run, and the checksum of its weights."""
    model = part_of_facts(recording, "model")
    return str(model.get("name", "unknown")), str(model.get("weights_sha256", "unknown"))


def _weights(recordings: Sequence[StudyRecording]) -> list[tuple[str, str]]:
    return sorted({_weights_of(recording) for recording in recordings})


def _models(recordings: Sequence[StudyRecording]) -> str:
    return _listed([f"the network `{name}`" for name in sorted({name for name, _ in _weights(recordings)})])


def _versions(recordings: Sequence[StudyRecording]) -> str:
    return _listed(sorted({str(r.facts.get("ferwatch", "unknown")) for r in recordings}))


def _sampling(recordings: Sequence[StudyRecording]) -> str:
    said = set()
    slowest: dict[float, float] = {}
    for recording in recordings:
        sampling = part_of_facts(recording, "sampling")
        every, fps = sampling.get("every"), sampling.get("fps")
        if fps:
            # All frames of a video that has fewer are sampled.
            own = part_of_facts(recording, "video").get("fps")
            rate = own if isinstance(own, int | float) and own < 0.99 * fps else fps
            slowest[fps] = min(rate, slowest.get(fps, rate))
        else:
            said.add(f"every {_ordinal(every)} frame" if every and every > 1 else "every frame")
    for fps, rate in slowest.items():
        fewer = "" if rate == fps else f" (in all frames, at least {rate:.3g} a second, of videos that have fewer)"
        said.add(f"{fps:g} frames a second{fewer}")
    return _listed(sorted(said))


def _smoothing(recordings: Sequence[StudyRecording]) -> str:
    values = sorted({float(part_of_facts(r, "timeline").get("smoothing", 0)) for r in recordings})
    return f"(smoothing {_listed([f'{value:g} s' for value in values])})"


def part_of_facts(recording: StudyRecording, name: str) -> dict[str, Any]:
    """Return a part of the run.json of a recording's run; empty where it is missing."""
    part = recording.facts.get(name)
    return part if isinstance(part, dict) else {}


def _baselines(recordings: Sequence[StudyRecording]) -> str:
    """Return a sentence on the recordings whose probabilities are corrected by a baseline; "" where none is."""
    corrected = sum(bool(recording.baseline) for recording in recordings)
    if not corrected:
        return ""
    whose = "all recordings" if corrected == len(recordings) else f"{corrected} of {len(recordings)} recordings"
    return (
        f"In {whose} the probabilities are shifted in log-odds against a stretch in which the person was neutral, and "
        "all figures come from the corrected probabilities."
    )


def _ordinal(number: int) -> str:
    """Return 2nd, 3rd, 4th, 11th, 21st and so on."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
