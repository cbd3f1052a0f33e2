"""The verbs of the command line: the module that carries out each one, and its line in the list of commands."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pypod.cli.flags.parser import Command, Parsed

    Verb = tuple[str, str, str]
    Verbs = dict[str, Verb]

__all__ = ["CONTAINER_VERBS", "GROUPS", "VERBS", "commands_of", "load"]

# verb, or two words for one in a group within a group: (module of pypod.cli, name of the command in it, summary). See
# load() for the objects in that module.
CONTAINER_VERBS: Verbs = {
    "attach": ("containers.attach", "attach", "Attach to a running container"),
    "checkpoint": ("containers.checkpoint", "checkpoint", "Checkpoints one or more containers"),
    "cleanup": ("containers.cleanup", "cleanup", "Clean up network and mountpoints of one or more containers"),
    "clone": ("containers.clone", "clone", "Clone an existing container"),
    "commit": ("containers.files.commit", "commit", "Create new image based on the changed container"),
    "cp": ("containers.files.cp", "cp", "Copy files/folders between a container and the local filesystem"),
    "create": ("containers.create", "create", "Create but do not start a container"),
    "diff": ("containers.files.diff", "container_diff", "Inspect changes to the container's file systems"),
    "exec": ("containers.exec", "exec", "Run a process in a running container"),
    "export": ("containers.files.export", "export", "Export container's filesystem contents as a tar archive"),
    "exists": ("system.lookup", "container_exists", "Check if a container exists in local storage"),
    "init": ("containers.init", "init", "Initialize one or more containers"),
    "inspect": ("system.inspect", "container_inspect", "Display the configuration of a container"),
    "kill": ("containers.lifecycle", "kill", "Kill one or more running containers with a specific signal"),
    "list": ("containers.ps", "ps", "List containers"),
    "logs": ("containers.logs", "logs", "Fetch the logs of one or more containers"),
    "ls": ("containers.ps", "ps", "List containers"),
    "mount": ("containers.files.mount", "mount", "Mount a working container's root filesystem"),
    "pause": ("containers.pause", "pause", "Pause all the processes in one or more containers"),
    "port": ("containers.port", "port", "List port mappings or a specific mapping for the container"),
    "prune": ("containers.prune", "container_prune", "Remove all non running containers"),
    "ps": ("containers.ps", "ps", "List containers"),
    "rename": ("containers.rename", "rename", "Rename an existing container"),
    "restart": ("containers.lifecycle", "restart", "Restart one or more containers"),
    "restore": ("containers.checkpoint", "restore", "Restores one or more containers from a checkpoint"),
    "rm": ("containers.rm", "rm", "Remove one or more containers"),
    "run": ("containers.run", "run", "Run a command in a new container"),
    "runlabel": ("containers.runlabel", "runlabel", "Execute the command described by an image label"),
    "start": ("containers.start", "start", "Start one or more containers"),
    "stats": ("containers.stats", "stats", "Display a live stream of container resource usage statistics"),
    "stop": ("containers.lifecycle", "stop", "Stop one or more containers"),
    "top": ("containers.top", "top", "Display the running processes of a container"),
    "umount": ("containers.files.mount", "unmount", "Unmount a working container's root filesystem"),
    "unmount": ("containers.files.mount", "unmount", "Unmount a working container's root filesystem"),
    "unpause": ("containers.pause", "unpause", "Unpause the processes in one or more containers"),
    "update": ("containers.update", "update", "Update an existing container"),
    "wait": ("system.lookup", "wait", "Block on one or more containers"),
}
IMAGE_VERBS: Verbs = {
    "diff": ("containers.files.diff", "image_diff", "Inspect changes to the image's file systems"),
    "exists": ("system.lookup", "image_exists", "Check if an image exists in local storage"),
    "history": ("images.history", "history", "Show history of a specified image"),
    "import": ("containers.files.export", "import", "Import a tarball to create a filesystem image"),
    "inspect": ("system.inspect", "image_inspect", "Display the configuration of an image"),
    "list": ("images.images", "images", "List images in local storage"),
    "ls": ("images.images", "images", "List images in local storage"),
    "load": ("images.save", "load", "Load image(s) from a tar archive"),
    "mount": ("images.mount", "image_mount", "Mount an image's root filesystem"),
    "prune": ("images.rmi", "image_prune", "Remove unused images"),
    "pull": ("images.pull", "pull", "Pull an image from a registry"),
    "push": ("images.push", "push", "Push an image to a specified destination"),
    "rm": ("images.rmi", "rmi", "Removes one or more images from local storage"),
    "save": ("images.save", "save", "Save image(s) to an archive"),
    "scp": ("system.service", "image_scp", "securely copy images"),
    "search": ("images.search", "search", "Search registry for image"),
    "sign": ("images.trust", "image_sign", "Sign an image"),
    "tag": ("images.tag", "tag", "Add an additional name to a local image"),
    "trust": ("images.trust", "image_trust", "Manage container image trust policy"),
    "trust set": ("images.trust", "trust_set", "Set default trust policy or a new trust policy for a registry"),
    "trust show": ("images.trust", "trust_show", "Display trust policy for the system"),
    "tree": ("images.history", "image_tree", "Print layer hierarchy of an image in a tree format"),
    "umount": ("images.mount", "image_unmount", "Unmount an image's root filesystem"),
    "unmount": ("images.mount", "image_unmount", "Unmount an image's root filesystem"),
    "untag": ("images.tag", "untag", "Remove a name from a local image"),
}
MANIFEST_VERBS: Verbs = {
    "add": ("images.manifest", "manifest_add", "Add images to a manifest list or image index"),
    "annotate": ("images.manifest", "manifest_annotate", "Add or update information about an entry in a manifest list"),
    "create": ("images.manifest", "manifest_create", "Create manifest list or image index"),
    "exists": ("images.manifest_transfers", "manifest_exists", "Check if a manifest list exists in local storage"),
    "inspect": (
        "images.manifest_transfers",
        "manifest_inspect",
        "Display the contents of a manifest list or image index",
    ),
    "push": ("images.manifest_transfers", "manifest_push", "Push a manifest list or image index to a registry"),
    "remove": ("images.manifest", "manifest_remove", "Remove an entry from a manifest list or image index"),
    "rm": ("images.manifest_transfers", "manifest_rm", "Remove manifest list or image index from local storage"),
}
NETWORK_VERBS: Verbs = {
    "connect": ("networks.network", "network_connect", "Connect a container or pod to a network"),
    "create": ("networks.network", "network_create", "Create a Podman network"),
    "disconnect": ("networks.network", "network_disconnect", "Disconnect a container or pod from a network"),
    "exists": ("networks.network", "network_exists", "Check if a network exists in local storage"),
    "inspect": ("system.inspect", "network_inspect", "Displays the network configuration for one or more networks"),
    "list": ("networks.list", "network_ls", "List networks"),
    "ls": ("networks.list", "network_ls", "List networks"),
    "prune": ("networks.network", "network_prune", "Remove unused networks"),
    "reload": ("networks.reload", "network_reload", "Reload firewall rules for one or more containers"),
    "remove": ("networks.network", "network_rm", "Delete one or more networks"),
    "rm": ("networks.network", "network_rm", "Delete one or more networks"),
    "update": ("networks.network", "network_update", "Update an existing podman network"),
}
POD_VERBS: Verbs = {
    "clone": ("pods.clone", "pod_clone", "Clone an existing pod"),
    "create": ("pods.create", "pod_create", "Create a new empty pod"),
    "exists": ("system.lookup", "pod_exists", "Check if a pod exists in local storage"),
    "inspect": ("system.inspect", "pod_inspect", "Displays a pod configuration"),
    "kill": ("pods.lifecycle", "pod_kill", "Send the specified signal or SIGKILL to containers in pod"),
    "list": ("pods.ps", "pod_ps", "List pods"),
    "ls": ("pods.ps", "pod_ps", "List pods"),
    "logs": ("containers.logs", "pod_logs", "Fetch logs for pod with one or more containers"),
    "pause": ("containers.pause", "pod_pause", "Pause one or more pods"),
    "prune": ("containers.prune", "pod_prune", "Remove all stopped pods and their containers"),
    "ps": ("pods.ps", "pod_ps", "List pods"),
    "restart": ("pods.lifecycle", "pod_restart", "Restart one or more pods"),
    "rm": ("pods.lifecycle", "pod_rm", "Remove one or more pods"),
    "start": ("pods.lifecycle", "pod_start", "Start one or more pods"),
    "stats": (
        "containers.stats",
        "pod_stats",
        "Display a live stream of resource usage statistics for containers in pods",
    ),
    "stop": ("pods.lifecycle", "pod_stop", "Stop one or more pods"),
    "top": ("containers.top", "pod_top", "Display the running processes of containers in a pod"),
    "unpause": ("containers.pause", "pod_unpause", "Unpause one or more pods"),
    "update": ("containers.update", "pod_update", "Update an existing pod"),
}
SECRET_VERBS: Verbs = {
    "create": ("secrets.secret", "secret_create", "Create a new secret"),
    "exists": ("secrets.secret", "secret_exists", "Check if a secret exists in local storage"),
    "inspect": ("secrets.secret", "secret_inspect", "Inspect a secret"),
    "list": ("secrets.list", "secret_ls", "List secrets"),
    "ls": ("secrets.list", "secret_ls", "List secrets"),
    "rm": ("secrets.secret", "secret_rm", "Remove one or more secrets"),
}
SYSTEM_VERBS: Verbs = {
    "boot": ("system.system", "boot", "Start the containers that their restart policy wants to run"),
    "check": ("system.system", "check", "Report what this host supports, and repair what a crash left behind"),
    "connection": ("system.connection", "system_connection", "Manage remote API service destinations"),
    "connection add": ("system.connection", "connection_add", "Record destination for the Podman service"),
    "connection default": ("system.connection", "connection_default", "Set named destination as default"),
    "connection list": ("system.connection", "connection_list", "List destination for the Podman service(s)"),
    "connection ls": ("system.connection", "connection_list", "List destination for the Podman service(s)"),
    "connection mv": ("system.connection", "connection_rename", 'Rename "old" to "new"'),
    "connection remove": ("system.connection", "connection_remove", "Delete named destination"),
    "connection rename": ("system.connection", "connection_rename", 'Rename "old" to "new"'),
    "connection rm": ("system.connection", "connection_remove", "Delete named destination"),
    "df": ("system.df", "system_df", "Show pypod disk usage"),
    "events": ("system.events", "events", "Show pypod events"),
    "info": ("system.system", "info", "Display pypod system information"),
    "migrate": ("system.system", "migrate", "Stop all containers so that new ones use the current subordinate IDs"),
    "prune": ("system.prune", "system_prune", "Remove unused data"),
    "renumber": ("system.service", "system_renumber", "Migrate lock numbers"),
    "reset": ("system.prune", "system_reset", "Reset pypod storage"),
    "service": ("system.service", "system_service", "Run API service"),
}
VOLUME_VERBS: Verbs = {
    "create": ("volumes.volume", "volume_create", "Create a new volume"),
    "exists": ("volumes.volume", "volume_exists", "Volume exists"),
    "export": ("volumes.transfers", "volume_export", "Export volumes"),
    "import": ("volumes.transfers", "volume_import", "Import a tarball contents into a pypod volume"),
    "inspect": ("system.inspect", "volume_inspect", "Display detailed information on one or more volumes"),
    "list": ("volumes.list", "volume_ls", "List volumes"),
    "ls": ("volumes.list", "volume_ls", "List volumes"),
    "mount": ("volumes.volume", "volume_mount", "Mount volume"),
    "prune": ("volumes.volume", "volume_prune", "Remove all unused volumes"),
    "reload": ("volumes.volume", "volume_reload", "Reload all volumes from volume plugins"),
    "remove": ("volumes.volume", "volume_rm", "Remove one or more volumes"),
    "rm": ("volumes.volume", "volume_rm", "Remove one or more volumes"),
    "umount": ("volumes.volume", "volume_unmount", "Unmount volume"),
    "unmount": ("volumes.volume", "volume_unmount", "Unmount volume"),
}
VERBS: Verbs = {
    **CONTAINER_VERBS,
    "completion": ("shells", "completion", "Generate shell autocompletions"),
    "create": ("containers.create", "create", "Create a pod, or a container when an image or --rootfs is given"),
    "diff": ("containers.files.diff", "diff", "Display the changes to the object's file system"),
    "events": ("system.events", "events", "Show pypod events"),
    "history": ("images.history", "history", "Show history of a specified image"),
    "images": ("images.images", "images", "List images in local storage"),
    "import": ("containers.files.export", "import", "Import a tarball to create a filesystem image"),
    "info": ("system.system", "info", "Display pypod system information"),
    "inspect": ("system.inspect", "inspect", "Display the configuration of a container or pod"),
    "load": ("images.save", "load", "Load image(s) from a tar archive"),
    "login": ("images.login", "login", "Login to a container registry"),
    "logout": ("images.login", "logout", "Logout of a container registry"),
    "lsns": ("namespaces.lsns", "lsns", "List namespaces, the containers in them and what keeps them alive"),
    "pull": ("images.pull", "pull", "Pull an image from a registry"),
    "push": ("images.push", "push", "Push an image to a specified destination"),
    "rmi": ("images.rmi", "rmi", "Removes one or more images from local storage"),
    "save": ("images.save", "save", "Save image(s) to an archive"),
    "search": ("images.search", "search", "Search registry for image"),
    "tag": ("images.tag", "tag", "Add an additional name to a local image"),
    "unshare": ("namespaces.unshare", "unshare", "Run a command inside of a modified user namespace"),
    "untag": ("images.tag", "untag", "Remove a name from a local image"),
    "version": ("system.system", "version", "Display the pypod version information"),
    "view": ("namespaces.view", "view", "Show a live view of a pod in a browser"),
}
for only_of_containers in ("checkpoint", "cleanup", "clone", "list", "ls", "prune", "restore", "runlabel"):
    del VERBS[only_of_containers]
HEALTHCHECK_VERBS: Verbs = {
    "run": ("containers.healthcheck", "healthcheck_run", "Run the health check of a container"),
}
# The verb without a name is used when the first word is none of the others.
NS_VERBS: Verbs = {
    "": ("namespaces.ns", "ns_matrix", "Show which namespaces the containers of a pod share"),
    "diff": ("namespaces.ns", "ns_diff", "Show which namespaces two containers, pods or processes share"),
    "ls": ("namespaces.ns", "ns_ls", "List the namespaces of a container or process"),
    "watch": ("namespaces.watch", "ns_watch", "Watch the namespaces of pods come and go"),
}
GROUPS: dict[str, tuple[str, Verbs]] = {
    "container": ("Manage containers", CONTAINER_VERBS),
    "healthcheck": ("Manage health checks on containers", HEALTHCHECK_VERBS),
    "image": ("Manage images", IMAGE_VERBS),
    "manifest": ("Manipulate manifest lists and image indexes", MANIFEST_VERBS),
    "network": ("Manage networks", NETWORK_VERBS),
    "ns": ("Show which namespaces are shared: pypod ns POD", NS_VERBS),
    "pod": ("Manage pods", POD_VERBS),
    "secret": ("Manage secrets", SECRET_VERBS),
    "system": ("Manage pypod", SYSTEM_VERBS),
    "volume": ("Manage volumes", VOLUME_VERBS),
}

# The others are described by their summaries, as in podman.
DESCRIPTIONS = {
    "healthcheck": "Run health checks on containers",
    "manifest": "Creates, modifies, and pushes manifest lists and image indexes.",
    "pod": "Pods are a group of one or more containers sharing the same network, pid and ipc namespaces.",
    "volume": "Volumes are created in and can be shared between containers",
}

# Other words for a verb of a group, which its list of commands leaves out, as podman's does.
_OTHER_WORDS: dict[str, tuple[str, ...]] = {
    "": ("umount",),
    "container": ("ls", "umount"),
    "image": ("ls", "umount"),
    "network": ("list", "remove"),
    "pod": ("list", "ls"),
    "secret": ("list",),
    "volume": ("list", "remove", "umount"),
}


def commands_of(group: str = "") -> list[tuple[str, str]]:
    """Return the commands of a group, or of the program, as (name, summary), without other words for the same."""
    verbs, left_out = (GROUPS[group][1] if group else VERBS), _OTHER_WORDS.get(group, ())
    rows = [(name, row[2]) for name, row in verbs.items() if name and " " not in name and name not in left_out]
    if not group:
        rows += [(name, found[0]) for name, found in GROUPS.items()]
        rows.append(("help", "Help about any command"))
    return sorted(rows)


def load(row: Verb) -> tuple[Command, Callable[[Parsed, str | None], int]]:
    """Return a verb's command and function: for NAME these are ``NAME.upper()`` and ``run_NAME`` of its module."""
    # not importlib.import_module: importing importlib costs half a millisecond
    module = __import__(f"pypod.cli.{row[0]}", fromlist=[row[1]])
    return getattr(module, row[1].upper()), getattr(module, f"run_{row[1]}")
