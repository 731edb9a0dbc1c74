"""Warnings from an engine's confidence: when an answer should be checked by a person."""

from __future__ import annotations

from dvl2_cli.engine.events import Confidence

# Geometric mean of the chosen tokens' probabilities under which an answer is doubtful, where
# nobody measured it.
LOW_PROBABILITY = 0.5


def confidence_warnings(confidence: Confidence, phrase: str | None = None) -> list[str]:
    """One sentence for each reason to distrust the answer; none where nothing is known.

    ``phrase`` tells the answer from others about the same picture.
    """
    found = []
    probability = confidence.mean_probability
    threshold = confidence.probability_threshold
    low = LOW_PROBABILITY if threshold is None else threshold
    if probability is not None and probability < low:
        about = f" for {phrase!r}" if phrase else ""
        found.append(
            f"low confidence{about}: the model gave its words a chance of {probability:.0%} on "
            f"average, and under {low:.0%} an answer should be checked"
        )
    distance, usual = confidence.image_distance, confidence.image_threshold
    if distance is not None and usual is not None and distance > usual:
        found.append(
            f"the picture is unlike those the model was trained on "
            f"(distance {distance:.3g}, usual up to {usual:.3g})"
        )
    return found
