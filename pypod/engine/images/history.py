"""The history of an image, step by step, and which images share which layers."""

from __future__ import annotations

from pypod.errors import InvalidImage
from pypod.model.images.config import ImageStep, LayerUse, parse_config
from pypod.store import image_layers, images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.engine.images.stored import StoredImage
    from pypod.model.images.config import HistoryEntry
    from pypod.store.image_layers import LayerRecord
    from pypod.store.images import ImageRecord, Named


_WORDS_LIMIT = 200


def steps(image: StoredImage) -> list[ImageStep]:
    """Return the history of an image, the last step first. Raises InvalidImage, NoSuchImage."""
    record = image.named().record
    ending: dict[str, str] = {}
    for one in images.all_images(image.context.database):
        ending.setdefault(one.record.chain, one.record.id)
    ending[record.chain] = record.id
    layers = [*image_layers.of_chain(image.context.database, record.chain)]
    found = []
    for entry in reversed(image.history()):
        # an image is named once, at the last step of its own (containers/common: libimage, Image.History)
        identifier = ending.pop(layers[0].chain if layers else record.chain, "")
        makes_layer = bool(layers) and not entry.empty_layer
        found.append(
            ImageStep(
                id=identifier,
                created=entry.created,
                created_by=entry.created_by,
                comment=entry.comment,
                size_bytes=layers.pop(0).size_bytes if makes_layer else 0,
            )
        )
    return found


def children(image: StoredImage) -> list[str]:
    """Return the ids of the images that were built from this one in a single step.

    Determined as podman does (containers/common: libimage, areParentAndChild): the child has the same layers or one
    more, and one more history entry. It is informational only: each image refers to all of its layers itself.
    """
    return _children(image.context, image.named().record)


def parents(image: StoredImage) -> list[str]:
    """Return the ids of the images that this one was built from in a single step, as determined by ``children``."""
    record = image.named().record
    own = _history(record)
    if record.is_list or not own:
        return []
    return [one.id for one in images.stood_on(image.context.database, image.id) if _history(one) == own[:-1]]


def is_intermediate(context: Context, image: Named) -> bool:
    """Return whether an image is nameless and others were built from it: an intermediate step of a build."""
    return not image.names and bool(_children(context, image.record))


def _children(context: Context, record: ImageRecord) -> list[str]:
    if record.is_list:
        return []
    own = _history(record)
    others = images.standing_on(context.database, record.id)
    return [one.id for one in others if (history := _history(one)) and history[:-1] == own]


def _history(record: ImageRecord) -> tuple[HistoryEntry, ...]:
    try:
        return parse_config(record.config.encode()).history
    except InvalidImage:  # a damaged image must still be removable
        return ()


def layers_below(image: StoredImage) -> list[LayerUse]:
    """Return the layers of an image, the lowest first."""
    return _used(image, list(reversed(image.layers())))


def layers_above(image: StoredImage) -> list[LayerUse]:
    """Return the top layer of an image and all layers above it, each before the ones above it."""
    children: dict[str, list[LayerRecord]] = {}
    for one in image_layers.all_layers(image.context.database):
        children.setdefault(one.parent, []).append(one)
    found: list[LayerRecord] = []
    waiting = [*image.layers()[:1]]
    while waiting:
        found.append(waiting.pop())
        waiting += reversed(children.get(found[-1].chain, []))
    return _used(image, found)


def _used(image: StoredImage, layers: list[LayerRecord]) -> list[LayerUse]:
    names: dict[str, list[str]] = {}
    for one in images.all_images(image.context.database):
        names.setdefault(one.record.chain, []).extend(one.names)
    return [
        LayerUse(chain=one.chain, size_bytes=one.size_bytes, names=tuple(names.get(one.chain, ()))) for one in layers
    ]


def image_html(image: StoredImage) -> str:
    """Return a summary of an image and its history, the last step first, as HTML for a notebook."""
    from pypod.display.markup import element, join, table, text
    from pypod.errors import InvalidImage, NoSuchImage

    try:
        named, config, made = image.named(), image.config, steps(image)
    except (NoSuchImage, InvalidImage) as error:
        return element("p", str(error))
    facts: list[tuple[object, object]] = [
        ("id", image.id[:12]),
        ("names", ", ".join(named.names) or "-"),
        ("platform", str(config.platform)),
        ("runs", " ".join((*config.entrypoint, *config.command)) or "-"),
        ("bytes", f"{named.record.size_bytes:,}"),
    ]
    rows = [
        (one.created[:19], f"{one.size_bytes:,}" if one.size_bytes else "", text(one.created_by, _WORDS_LIMIT))
        for one in made
    ]
    return join([table((), facts, caption=f"image {image.used_name}"), table(("made", "bytes", "by"), rows)])
