"""network create, update, rm, prune, exists, connect, disconnect and reload."""

from __future__ import annotations

from pypod.cli.flags.parser import Command, Flag, UsageError
from pypod.cli.render.plain_text import tell
from pypod.errors import AlreadyExists, InUse, NoSuchContainer, NoSuchNetwork, PypodError, WrongState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.api.container import Container
    from pypod.api.engine import Engine
    from pypod.api.pod import Pod
    from pypod.cli.flags.parser import Parsed

NETWORK_CREATE = Command(
    path="pypod network create",
    summary="Create a Podman network",
    description="Create a network. An omitted name or subnet is chosen automatically; the name is printed to stdout.",
    synopsis="[options] [NAME]",
    flags=(
        Flag(name="disable-dns", kind="bool", help="Disable dns plugin"),
        Flag(
            name="dns",
            kind="strings",
            help="DNS servers to query for names that the network itself does not know",
        ),
        Flag(
            name="driver", short="d", default="bridge", help="Driver to manage the network: bridge, macvlan or ipvlan"
        ),
        Flag(name="gateway", kind="strings", help="IPv4 or IPv6 gateway for the subnet", metavar="ipSlice"),
        Flag(name="ignore", kind="bool", help="Don't fail if network already exists"),
        Flag(name="interface-name", help="Interface name which is used by the driver"),
        Flag(name="internal", kind="bool", help="Restrict external access from this network"),
        Flag(name="ip-range", kind="stringArray", help="Allocate container IP from range"),
        Flag(name="ipam-driver", help="IP Address Management Driver: host-local or none"),
        Flag(name="ipv6", kind="bool", help="Enable IPv6 networking"),
        Flag(name="label", kind="stringArray", help="Set metadata on a network"),
        Flag(name="opt", short="o", kind="stringArray", help="Set driver specific options"),
        Flag(name="route", kind="stringArray", help="Static routes: DESTINATION,GATEWAY[,METRIC]"),
        Flag(name="subnet", kind="stringArray", help="Subnets in CIDR format"),
    ),
    examples=("pypod network create front", "pypod network create --subnet 10.89.7.0/24 --ipv6 back"),
    max_args=1,
)
NETWORK_UPDATE = Command(
    path="pypod network update",
    summary="Update an existing podman network",
    description="Change the DNS servers that a network queries for names that it does not know itself.",
    synopsis="[options] NETWORK",
    flags=(
        Flag(name="dns-add", kind="strings", help="Add network level nameservers"),
        Flag(name="dns-drop", kind="strings", help="Remove network level nameservers"),
    ),
    examples=("pypod network update --dns-add 9.9.9.9 --dns-drop 1.1.1.1 front",),
    min_args=1,
    max_args=1,
)
NETWORK_RM = Command(
    path="pypod network rm",
    summary="Delete one or more networks",
    description="Removes networks and their bridges. The default network cannot be removed.",
    synopsis="[options] NETWORK [NETWORK...]",
    flags=(
        Flag(name="force", short="f", kind="bool", help="Remove any containers using network"),
        Flag(
            name="time",
            short="t",
            kind="uint",
            default=10,
            help="Seconds to wait for running containers to stop before killing the container",
        ),
    ),
    aliases=("remove",),
    examples=("pypod network rm front",),
    min_args=1,
)
NETWORK_PRUNE = Command(
    path="pypod network prune",
    summary="Remove unused networks",
    description="Removes all networks that no pod or container uses, except the default network.",
    synopsis="[options]",
    flags=(
        Flag(name="filter", kind="stringArray", help="Provide filter values (e.g. 'label=<key>=<value>')"),
        Flag(name="force", short="f", kind="bool", help="Do not prompt for confirmation"),
    ),
    examples=("pypod network prune",),
    max_args=0,
)
NETWORK_EXISTS = Command(
    path="pypod network exists",
    summary="Check if a network exists in local storage",
    description="The exit code is 0 if the named network exists, otherwise 1.",
    synopsis="NETWORK",
    examples=("pypod network exists front || pypod network create front",),
    min_args=1,
    max_args=1,
)
NETWORK_CONNECT = Command(
    path="pypod network connect",
    summary="Connect a container or pod to a network",
    description="A running container or pod is connected at once, a stopped one when it starts.",
    synopsis="[options] NETWORK CONTAINER",
    flags=(
        Flag(name="alias", kind="strings", help="Network scoped alias for container"),
        Flag(name="ip", kind="ip", help="Set a static ipv4 address for this container network"),
        Flag(name="ip6", kind="ip", help="Set a static ipv6 address for this container network"),
        Flag(name="mac-address", help="Set a static mac address for this container network"),
    ),
    examples=("pypod network connect --alias db back web",),
    min_args=2,
    max_args=2,
)
NETWORK_DISCONNECT = Command(
    path="pypod network disconnect",
    summary="Disconnect a container or pod from a network",
    synopsis="[options] NETWORK CONTAINER",
    flags=(Flag(name="force", short="f", kind="bool", help="Succeed when there is nothing to disconnect"),),
    examples=("pypod network disconnect back web",),
    min_args=2,
    max_args=2,
)
_WARNING = "WARNING! This will remove all networks not used by at least one container."
_MISSING, _BUSY, _FAILED = 1, 2, 125


def run_network_create(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod network create``."""
    from pypod.api.engine import Engine
    from pypod.cli.flags.text_files import labels

    with Engine(root) as engine:
        try:
            network = engine.networks.create(
                options.positionals[0] if options.positionals else "",
                driver=options["driver"],
                subnets=options["subnet"],
                gateways=options["gateway"],
                ip_ranges=options["ip-range"],
                ipv6=options["ipv6"],
                internal=options["internal"],
                dns=not options["disable-dns"],
                dns_servers=options["dns"],
                options=dict(one.partition("=")[::2] for one in options["opt"]),
                labels=labels(options["label"]),
                routes=options["route"],
                interface=options["interface-name"],
                ipam=options["ipam-driver"],
            )
        except AlreadyExists as error:
            if not options["ignore"]:
                raise
            print(error.name)
            return 0
        print(network.name)
    return 0


def run_network_update(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod network update``."""
    from pypod.api.engine import Engine

    with Engine(root) as engine:
        network = engine.networks.get(options.positionals[0])
        network.update(dns_add=options["dns-add"], dns_drop=options["dns-drop"])
    return 0


def run_network_rm(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod network rm``."""
    from pypod.api.engine import Engine

    if options.changed("time") and not options["force"]:
        raise UsageError(options.command.path, "--force option must be specified to use the --time option")
    timeout = float(options["time"]) if options.changed("time") else None
    failures: list[PypodError] = []
    with Engine(root) as engine:
        for name in options.positionals:
            try:
                engine.networks.get(name).remove(force=options["force"], timeout=timeout)
                print(name, flush=True)
            except NoSuchNetwork as error:
                if not options["force"]:
                    failures.append(error)
            except PypodError as error:
                failures.append(error)
    for failure in failures:
        tell(f"Error: {failure}")
    return _code(failures)


def _code(failures: Sequence[PypodError]) -> int:
    """Return podman's exit code for rm: 1 when the only failures are unknown names, 2 when a network is in use."""
    if not failures:
        return 0
    if all(isinstance(failure, NoSuchNetwork) for failure in failures):
        return _MISSING
    return _BUSY if any(isinstance(failure, InUse) for failure in failures) else _FAILED


def run_network_prune(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod network prune``."""
    from pypod.api.engine import Engine
    from pypod.cli.networks.filters import compile_prune_filters
    from pypod.cli.render.asking import agreed

    test = compile_prune_filters(options["filter"])
    if not options["force"] and not agreed(_WARNING):
        return 0
    with Engine(root) as engine:
        for name in engine.networks.prune(test):
            print(name)
    return 0


def run_network_exists(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod network exists``."""
    from pypod.api.engine import Engine

    with Engine(root) as engine:
        return 0 if engine.networks.exists(options.positionals[0]) else 1


def run_network_connect(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod network connect``."""
    from pypod.api.engine import Engine

    network, name = options.positionals
    with Engine(root) as engine:
        one = _connectable(engine, name)
        try:
            one.connect(
                network,
                ip=options["ip"],
                ip6=options["ip6"],
                mac_address=options["mac-address"],
                aliases=options["alias"],
            )
        except AlreadyExists:
            if one.state().status.lower() != "created":  # before the first start, podman says nothing
                raise
    return 0


def run_network_disconnect(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod network disconnect``."""
    from pypod.api.engine import Engine

    network, name = options.positionals
    with Engine(root) as engine:
        try:
            _connectable(engine, name).disconnect(network)
        except WrongState:
            if not options["force"]:
                raise
    return 0


def _connectable(engine: Engine, name: str) -> Container | Pod:
    """Return the container or pod of that name. Raises NoSuchContainer."""
    try:
        return engine.containers.get(name)
    except NoSuchContainer:
        if not engine.pods.exists(name):
            raise
    return engine.pods.get(name)
