"""A job: stages through a runner, with a record of times and failures."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from worldloom.bench import Bench
from worldloom.config import ReconstructionConfig
from worldloom.errors import ReconstructionError
from worldloom.stage import Failure, ProgressCallback, R, Runner, Stage, StageReport, W

_logger = logging.getLogger(__name__)


@dataclass
class Job:
    """A reconstruction under way: what executes it, and the record of what was done."""

    runner: Runner
    bench: Bench
    config: ReconstructionConfig
    on_progress: ProgressCallback
    stages: list[StageReport] = field(default_factory=list[StageReport])
    failures: list[Failure] = field(default_factory=list[Failure])

    def run(self, stage: Stage[W, R], works: Sequence[W]) -> list[R | None]:
        """Runs a stage; failures are recorded and come back as None.

        Raises:
            ReconstructionError: every item failed.
        """
        start = time.monotonic()
        outcomes = self.runner.map(stage, works, self.on_progress)
        failed = [outcome.failure for outcome in outcomes if outcome.failure is not None]
        reused = sum(outcome.reused for outcome in outcomes)
        seconds = time.monotonic() - start
        self.stages.append(StageReport(stage.name, seconds, len(works), reused, len(failed)))
        self.failures.extend(failed)
        for failure in failed:
            _logger.warning("%s of %s failed: %s", stage.name, failure.subject, failure.message)
        if works and len(failed) == len(works):
            raise ReconstructionError(
                f"stage {stage.name} failed for all of its {len(works)} items; the first: "
                f"{failed[0].subject}: {failed[0].message}",
                stage=stage.name,
                failed=len(failed),
                total=len(works),
            )
        return [outcome.value for outcome in outcomes]
