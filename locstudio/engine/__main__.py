"""``python -m locstudio.engine``.  Pipes and parent first, libraries after."""

import argparse
import logging
import os
import sys
from pathlib import Path

from locstudio.engine.process import claim_pipes, die_with_parent
from locstudio.jobs.engine_messages import Loading, reply_line


def main() -> int:
    """Serve one checkpoint on stdin and stdout until the window goes."""
    parser = argparse.ArgumentParser(prog="python -m locstudio.engine", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--cache", type=Path, help="the project's cache folder; without it no tokens are kept")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--parent-pid", type=int, help="process that this one must not outlive")
    options = parser.parse_args()
    requests, replies = claim_pipes()
    die_with_parent(options.parent_pid)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    # The models lie in packages and checkpoints; nothing is ever asked of a hub.
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    try:
        os.write(replies, reply_line(Loading(text="Starting the models")))
        # Imported here: torch takes seconds, and must find the pipes and the environment as they are now.
        from locstudio.engine.server import serve
        from locstudio.engine.session import EngineSession

        return serve(
            lambda on_loading: EngineSession(
                options.checkpoint, cache=options.cache, device=options.device, on_loading=on_loading
            ),
            requests,
            replies,
        )
    except BrokenPipeError:
        return 0


if __name__ == "__main__":
    status = main()
    logging.shutdown()
    sys.stderr.flush()
    # Nothing is left to save, and taking torch apart takes longer than the window's patience.
    os._exit(status)
