"""`push` steps, and what the registry calls the images then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..config.task import Push, Step
from ..errors import EngineError
from .docker import engine_errors
from .docker_task_room import image_there
from .docker_task_stream import endable, follow, repository_and_tag

if TYPE_CHECKING:
    from .docker_task_room import Room, Say
    from .stop import Stop

# As https://github.com/Azure/acr-builder/blob/main/builder/push.go
_ATTEMPTS = 3
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.25, 5.0


def push_images(step: Step, room: Room, stop: Stop, say: Say) -> dict[str, str]:
    """Push each image, three times at most; gives their digests. Raises EngineError, Stopped."""
    assert isinstance(step.action, Push)
    return {image: _push(image, step, room, stop, say) for image in map(room.task.reveal, step.action.images)}


def _push(image: str, step: Step, room: Room, stop: Stop, say: Say) -> str:
    facts = {"step": step.id, "image": image}
    with room.plan.connect() as engine, engine_errors("find an image", facts):
        if not image_there(engine, image):
            hint = "push what a step before has built or pulled"
            raise EngineError("the image to push is not there", facts=facts, hint=hint)
    for attempt in range(1, _ATTEMPTS + 1):
        say(f"Pushing image: {image}, attempt {attempt}")
        try:
            digest = _try_to_push(image, facts, room, stop, say)
            say(f"Successfully pushed image: {image}")
            return digest
        except EngineError as error:
            if attempt == _ATTEMPTS:
                raise
            say(f"{error.sentence}: {error.facts['reason']}")
        stop.wait(min(_FIRST_BACKOFF * 2 ** (attempt - 1), _LONGEST_BACKOFF))
    raise AssertionError("the last attempt returns or raises")


def _try_to_push(image: str, facts: dict[str, str], room: Room, stop: Stop, say: Say) -> str:
    def failed(reason: str) -> EngineError:
        hint = "`docker login` to the registry, and check its name"
        return EngineError("an image cannot be pushed", facts={**facts, "reason": reason}, hint=hint)

    with endable(room.plan, stop, "push an image", facts) as engine:
        repository, tag = repository_and_tag(image)
        results = follow(engine.api.push(repository, tag=tag, stream=True, decode=True), say, failed)
    return next((str(each["Digest"]) for each in results if "Digest" in each), "")
