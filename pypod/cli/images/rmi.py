"""rmi and image prune: remove images by name, all images, or unused images."""

from __future__ import annotations

import sys
from contextlib import suppress

from pypod.cli.flags.parser import Command, Flag
from pypod.cli.render.plain_text import joined, tell
from pypod.errors import InUse, InvalidSpec, NoSuchImage, PypodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.api.engine import Engine
    from pypod.api.images.image import Image
    from pypod.cli.flags.parser import Parsed

RMI = Command(
    path="pypod rmi",
    summary="Removes one or more images from local storage",
    description="Removes one or more previously pulled or locally created images.",
    synopsis="[options] IMAGE [IMAGE...]",
    flags=(
        Flag(name="all", short="a", kind="bool", help="Remove all images"),
        Flag(name="force", short="f", kind="bool", help="Force Removal of the image"),
        Flag(name="ignore", short="i", kind="bool", help="Ignore errors if a specified image does not exist"),
        Flag(name="no-prune", kind="bool", help="Do not remove unnamed parents that no other image uses"),
    ),
    examples=("pypod rmi imageID", "pypod rmi --force alpine", "pypod rmi c4dfb1609ee2 93fd78260bd1 c0ed59d05ff7"),
)
IMAGE_PRUNE = Command(
    path="pypod image prune",
    summary="Remove unused images",
    description="Removes dangling or unused images from local storage.",
    synopsis="[options]",
    flags=(
        Flag(
            name="all",
            short="a",
            kind="bool",
            help="Remove all images not in use by containers, not just dangling ones",
        ),
        Flag(name="build-cache", kind="bool", help="Accepted for compatibility with podman; has no effect"),
        Flag(name="external", kind="bool", help="Accepted for compatibility with podman; has no effect"),
        Flag(name="filter", kind="stringArray", help="Provide filter values (e.g. 'label=<key>=<value>')"),
        Flag(name="force", short="f", kind="bool", help="Do not prompt for confirmation"),
    ),
    examples=("pypod image prune",),
    max_args=0,
)
MISSING, BUSY, FAILED = 1, 2, 125
_WARNINGS = {
    False: "WARNING! This command removes all dangling images.",
    True: "WARNING! This command removes all images without at least one container associated with them.",
}


def run_rmi(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod rmi``."""
    from pypod.api.engine import Engine

    words = options.positionals
    if not words and not options["all"]:
        raise InvalidSpec("IMAGE", "image name or ID must be specified")
    if words and options["all"]:
        raise InvalidSpec("--all", "when using the --all switch, you may not pass any images names or IDs")
    removal = _Removal(
        force=options["force"], ignore=options["ignore"] or options["force"], prune=not options["no-prune"]
    )
    with Engine(root) as engine:
        if options["all"]:
            for image in engine.images.list(with_lists=True):
                removal.remove(image)
        for word in words:
            removal.by_name(engine, word)
    return removal.tell()


def remove_named(engine: Engine, name: str) -> list[PypodError]:
    """Remove a name from its image, and the image with its last name; return the errors."""
    removal = _Removal(force=False, ignore=True, prune=True)
    removal.by_name(engine, name)
    return removal.failures


class _Removal:
    """The results of one command: what it has removed so far, and its failures."""

    def __init__(self, *, force: bool, ignore: bool, prune: bool) -> None:
        self._force = force
        self._ignore = ignore
        self._prune = prune
        self._untagged: list[str] = []
        self._deleted: list[str] = []
        self._gone: list[str] = []
        self.failures: list[PypodError] = []

    def by_name(self, engine: Engine, word: str) -> None:
        """Remove the name from its image, and the image with its last name."""
        try:
            image = engine.images.find(word)
        except PypodError as error:
            if not (self._ignore and isinstance(error, NoSuchImage)):
                self.failures.append(error)
            return
        if image.id in self._gone:  # removed under another of its names
            return
        names = image.names
        is_id = image.id.startswith(word) or word.startswith("sha256:")
        if len(names) > 1 and not is_id:
            self._untag(image, image.used_name)
            return
        if len(names) > 1 and not self._force:
            by = "digest" if word.startswith("sha256:") else "ID"
            message = (
                f'unable to delete image "{image.id}" by {by} with more than one tag ([{" ".join(names)}]): please '
                "force removal"
            )
            self.failures.append(InvalidSpec("IMAGE", message))
            return
        self.remove(image)

    def _untag(self, image: Image, name: str) -> None:
        try:
            if "@" in name and name not in image.names:
                raise InvalidSpec("IMAGE", f"{name}: untag by digest not supported")
            image.untag(name)
        except PypodError as error:
            self.failures.append(error)
        else:
            self._untagged.append(name)

    def remove(self, image: Image) -> None:
        """Remove an image with all its names, and its unnamed parents that no other image uses.

        Images built on top of it stay intact.
        """
        try:
            names, is_parent = image.names, bool(image.children())
            below = image.parents() if self._prune else ()
            image.remove(force=self._force)
        except PypodError as error:
            if not isinstance(error, NoSuchImage):  # removed by another process in the meantime
                self.failures.append(error)
            return
        self._untagged += names
        self._gone.append(image.id)
        if not (is_parent and names):  # podman reports only the names
            self._deleted.append(image.id)
        for parent in below:
            with suppress(NoSuchImage):
                if not parent.names and not parent.children():
                    self.remove(parent)

    def tell(self) -> int:
        """Print what was removed and the failures; return podman's exit code."""
        lines = [f"Untagged: {name}\n" for name in self._untagged] + [f"Deleted: {one}\n" for one in self._deleted]
        sys.stdout.write("".join(lines))
        sys.stdout.flush()
        failures = self.failures
        if not failures:
            return 0
        tell(f"Error: {joined(failures)}")
        if any(isinstance(failure, InUse) for failure in failures):
            return BUSY
        return MISSING if all(isinstance(failure, NoSuchImage) for failure in failures) else FAILED


def run_image_prune(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod image prune``."""
    from pypod.api.engine import Engine
    from pypod.cli.images.filters import compile_image_filters
    from pypod.cli.render.asking import agreed

    with Engine(root) as engine:
        if not options["force"] and not agreed(_WARNINGS[options["all"]]):
            return 0
        kind = () if options["all"] else ("dangling=true",)
        test = compile_image_filters((*options["filter"], *kind), engine)
        for identifier in engine.images.prune(all=options["all"], only=test):
            print(identifier)
    return 0
