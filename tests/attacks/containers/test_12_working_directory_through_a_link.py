"""An image's WorkingDir behind a link, so that a host directory would be created and chowned (CVE-2026-55686)."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from pypod.errors import LaunchFailed
from tests.images.layers import Layer
from tests.images.made import busybox_image
from tests.integration.images.test_images import bring, run

pytestmark = pytest.mark.root

LINKS = {
    "absolute": "{}",
    "upwards": "../../../../../../../../../..{}",
    "by way of the first process": "/proc/1/root{}",
    "by way of itself": "/proc/self/root{}",
    "by way of its directory": "/proc/self/cwd/../../../../../..{}",
}


@pytest.mark.parametrize("below", ["", "/new", "/new/er", "/empty", "/file", "/../canary/new"])
@pytest.mark.parametrize("link", LINKS)
def test_nothing_is_made_or_given_away_outside(engine, busybox, canary: Path, link: str, below: str) -> None:
    """Refused or confined to the container: the canary checks this, including owners and times of directories."""
    planted = Layer().directory("d/").symlink("w", LINKS[link].format(canary)).symlink("d/w", "../w").bytes()
    for directory in (f"/w{below}", f"/d/w{below}"):
        config = {"WorkingDir": directory, "User": "7:8"}
        image = bring(engine, busybox_image(busybox, planted, config=config))
        for options in ({"pid": "host"}, {"read_only": True}):
            with suppress(LaunchFailed):
                assert "untouched" not in run(engine, image, "sh", "-c", "pwd; cat file ../file; true", **options)
    assert not (canary / "new").exists()


def test_where_the_link_leads_inside_the_directory_is_made_there(engine, busybox) -> None:
    """Sanity check: links are followed within the container's root."""
    planted = Layer().directory("real/").symlink("w", "/real").bytes()
    image = bring(engine, busybox_image(busybox, planted, config={"WorkingDir": "/w/new", "User": "7:8"}))
    assert run(engine, image, "sh", "-c", "stat -c '%n %u %g' /real/new") == "/real/new 7 8\n"
