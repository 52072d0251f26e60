"""What recipes that compare two models have in common: the gate in the end, and the progress of both."""

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from locstudio.domain.errors import UserError
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.predictions import Gate, GateCheck, write_gate
from trainer.context import RunContext
from trainer.loop import Hook, StepMetrics


def decide(context: RunContext, old_id: str, checks: Collection[GateCheck]) -> None:
    """Write the gate of a comparison, and note why it does not pass.

    Args:
        context: The run; its configuration names the new checkpoint.
        old_id: Identity of the checkpoint that is there.
        checks: All of them have to pass.

    Raises:
        StorageFailed: the disk refuses.
    """
    new_id = ""
    if context.config.compare is not None:
        with suppress(UserError):  # of a damaged one, which has no identity
            new_id = checkpoint_info(Path(context.config.compare.new)).id
    gate = Gate(passed=all(check.passed for check in checks), old_id=old_id, new_id=new_id, checks=tuple(checks))
    write_gate(context.folder.results, gate)
    for reason in gate.reasons:
        context.reporter.note(reason)


def counted_on(report: Hook, num_before: int) -> Hook:
    """The hook, told of what was done before as well."""

    def told(step: int, metrics: StepMetrics) -> None:
        report(num_before + step, metrics)

    return told
