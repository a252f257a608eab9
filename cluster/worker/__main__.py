"""`python -m cluster.worker FOLDER`: does the job of a folder."""

import logging
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

from cluster.tracing import job_span
from cluster.worker.confinement import Claim, confine
from cluster.worker.events import EventWriter
from cluster.worker.task import Outcome, Task, TaskError, load_task, save_outcome
from worldloom.errors import ConfigError, WorldloomError

DONE, FAILED, STOPPED, TAKEN = 0, 1, 143, 75
_logger = logging.getLogger("cluster.worker")


def main() -> None:
    """Runs the command of this process and exits."""
    signal.signal(signal.SIGTERM, _stop)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if len(sys.argv) != 2:
        sys.exit("usage: python -m cluster.worker FOLDER")
    sys.exit(work(Path(sys.argv[1])))


def work(folder: Path) -> int:
    """Does the job of a folder and leaves its outcome there.

    Args:
        folder: With `task.json`.

    Returns:
        The exit code: 0 done, 1 failed, 75 another process works on it.
    """
    if not Claim(folder).take():
        _logger.warning("another process works on %s", folder)
        return TAKEN
    try:
        outcome = _outcome(folder)
    except WorldloomError as error:
        ids = {key: str(value) for key, value in error.ids.items() if value is not None}
        outcome = Outcome(TaskError(type(error).__name__, error.message, ids))
    except MemoryError:
        text = "memory does not suffice; use a smaller resolution, or ask for a higher limit"
        outcome = Outcome(TaskError("StageError", text))
    except Exception as error:  # The boundary of the process: what is left is a defect.
        _logger.exception("the job broke")
        text = f"a defect of the service ({type(error).__name__}); its log has the trace"
        outcome = Outcome(TaskError("Defect", text))
    save_outcome(outcome, folder)
    return DONE if outcome.error is None else FAILED


def _outcome(folder: Path) -> Outcome:
    task = load_task(folder)
    confine(task.bounds)
    events = EventWriter(folder)
    logging.getLogger("worldloom").addHandler(events)
    try:
        with job_span(task.kind.value):
            return _done(task, folder, events)
    finally:
        logging.getLogger("worldloom").removeHandler(events)
        events.close()


def _done(task: Task, folder: Path, events: EventWriter) -> Outcome:
    # What a job does not need is not imported: it would wait for seconds.
    if task.reconstruct is not None:
        from cluster.worker.reconstruction import reconstruct_job

        return reconstruct_job(task, task.reconstruct, folder, events)
    if not task.scene_folder:
        raise ConfigError("a job on a scene needs its folder")
    from cluster.worker.products import product_job

    return product_job(task, folder, events)


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(STOPPED)


if __name__ == "__main__":
    main()
