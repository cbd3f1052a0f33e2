"""inspect of containers and pods: the configuration, the state, and podman's layout."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pypod.model.ids import INFRA_IMAGE

pytestmark = pytest.mark.root

MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"
NEVER = "0001-01-01T00:00:00Z"


def inspected(world, *words: str) -> dict:
    (one,) = json.loads(world.pypod.ok("inspect", *words))
    return one


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("Config.Healthcheck", "<nil>"),
        ("Config.Secrets", "[]"),
        ("Config.SystemdMode", "false"),
        ("Config.Timezone", ""),
        ("SizeRw", "<nil>"),
        ("SizeRootFs", "0"),
        ("State.Checkpointed", "false"),
        ("OCIConfigPath", ""),
    ],
)
def test_templates_find_what_json_omits(world, field: str, shown: str) -> None:
    assert world.pypod.ok("inspect", "-f", f"{{{{.{field}}}}}", "web") == f"{shown}\n"
    assert f'"{field.rpartition(".")[2]}"' not in world.pypod.ok("inspect", "web")


def test_of_an_infra_in_templates(world) -> None:
    shown = world.pypod.ok("pod", "inspect", "-f", "{{.InfraConfig.UserNS}} {{.InfraConfig.PidNS}}", "mipod")
    assert shown == "host private\n"


def test_an_empty_format_is_none(world) -> None:
    assert world.pypod.ok("inspect", "-f", "", "web") == world.pypod.ok("inspect", "web")


def test_what_runs(world) -> None:
    web = inspected(world, "web")
    container = world.containers["web"]
    state = container.state()
    assert (web["Id"], web["Name"], web["Pod"]) == (container.id, "web", world.pods["mipod"].id)
    assert (web["Path"], web["Args"]) == ("sh", ["-c", "exec sleep 1000", "a b"])
    assert re.fullmatch(MOMENT, web["Created"])
    assert re.fullmatch(MOMENT, web["State"]["StartedAt"])
    assert web["State"]["FinishedAt"] == NEVER
    assert (web["State"]["Status"], web["State"]["Running"], web["State"]["ExitCodeKnown"]) == ("running", True, True)
    assert (web["State"]["Pid"], web["State"]["ConmonPid"]) == (state.pid, state.supervisor_pid)
    # the kernel's list of the process's cgroups agrees
    assert web["State"]["CgroupPath"] in Path(f"/proc/{state.pid}/cgroup").read_text()
    assert web["Dependencies"] == [world.infra.id]
    assert Path(web["LogPath"]).exists()
    assert Path(web["HostsPath"]).read_text().count("mihost") == 1
    assert web["GraphDriver"]["Data"]["UpperDir"] == f"{container.directory}/upper"


def test_configuration(world) -> None:
    web = inspected(world, "web")
    config, host = web["Config"], web["HostConfig"]
    assert config["Hostname"] == "mihost"
    assert {"A=b", "HOSTNAME=mihost", "container=podman"} <= set(config["Env"])
    assert config["Labels"] == {"app": "web", "odd": "<a&b>"}
    assert (config["Cmd"], config["Entrypoint"]) == (["sh", "-c", "exec sleep 1000", "a b"], "")
    assert (config["StopSignal"], config["StopTimeout"], config["Umask"]) == (15, 10, "0022")
    for name in ("NetworkMode", "IpcMode", "UTSMode"):
        assert host[name] == f"container:{world.infra.id}"
    assert host["PidMode"] == "private"
    assert host["Binds"] == ["/usr:/mnt/usr:ro,rprivate,rbind"]
    assert host["Tmpfs"] == {"/scratch": "size=1m,rw,rprivate,nosuid,nodev,noexec,tmpcopyup"}
    assert (host["CapAdd"], host["CapDrop"]) == (
        ["CAP_NET_ADMIN"],
        ["CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_MKNOD", "CAP_NET_RAW"],
    )
    mount = web["Mounts"][0]
    assert (mount["Type"], mount["Source"], mount["Destination"], mount["RW"]) == ("bind", "/usr", "/mnt/usr", False)


def test_capabilities_and_limits_are_the_kernel_s(world) -> None:
    from pypod.kernel.capabilities import mask

    web = inspected(world, "web")
    lines = Path(f"/proc/{web['State']['Pid']}/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert int(status["CapEff"], 16) == mask(web["EffectiveCaps"])
    assert int(status["CapBnd"], 16) == mask(web["BoundingCaps"])
    limits = Path(f"/proc/{web['State']['Pid']}/limits").read_text()
    nofile = next(limit for limit in web["HostConfig"]["Ulimits"] if limit["Name"] == "RLIMIT_NOFILE")
    assert re.search(rf"Max open files +{nofile['Soft']} +{nofile['Hard']} ", limits)


def test_one_that_was_never_started(world) -> None:
    idle = inspected(world, "idle")
    assert (idle["State"]["Status"], idle["State"]["Pid"], idle["State"]["ExitCode"]) == ("created", 0, 0)
    assert (idle["State"]["StartedAt"], idle["ResolvConfPath"]) == (NEVER, "")
    assert "ConmonPid" not in idle["State"]  # omitempty
    assert (idle["Path"], idle["Args"]) == ("sh", ["-c", "echo", "hi"])
    assert (idle["Config"]["Entrypoint"], idle["Config"]["Cmd"]) == ("sh -c", ["echo", "hi"])
    assert (idle["Config"]["User"], idle["EffectiveCaps"]) == ("33:33", None)
    assert idle["Config"]["Hostname"] == idle["Id"][:12]
    assert idle["HostConfig"]["NetworkMode"] == "none"


def test_exit_codes_known_and_unknown(world) -> None:
    done, ghost = inspected(world, "done")["State"], inspected(world, "ghost")["State"]
    assert (done["Status"], done["ExitCode"], done["ExitCodeKnown"]) == ("exited", 3, True)
    assert re.fullmatch(MOMENT, done["FinishedAt"])
    assert (ghost["Status"], ghost["ExitCode"], ghost["ExitCodeKnown"]) == ("exited", -1, False)
    assert ghost["FinishedAt"] == NEVER


def test_an_infra(world) -> None:
    infra = inspected(world, world.infra.name)
    assert (infra["IsInfra"], infra["ImageName"], infra["Rootfs"]) == (True, INFRA_IMAGE, "")
    assert Path(infra["Path"]).name == "pause"
    assert infra["State"]["Pid"] == world.infra.state().pid
    assert (infra["Config"]["Hostname"], infra["Config"]["Labels"]) == ("mihost", {"tier": "front", "empty": ""})
    assert (infra["EffectiveCaps"], infra["BoundingCaps"]) == (None, [])


def test_a_pod(world) -> None:
    pod = json.loads(world.pypod.ok("pod", "inspect", "mipod"))
    assert (pod["Id"], pod["Name"], pod["State"]) == (world.pods["mipod"].id, "mipod", "Running")
    assert (pod["Hostname"], pod["Labels"]) == ("mihost", {"tier": "front", "empty": ""})
    assert pod["SharedNamespaces"] == ["ipc", "net", "uts"]
    assert (pod["InfraContainerID"], pod["NumContainers"]) == (world.infra.id, 2)
    assert pod["CgroupPath"] == f"{pod['CgroupParent']}/{pod['Id']}"
    assert pod["Containers"] == [
        {"Id": world.infra.id, "Name": world.infra.name, "State": "running"},
        {"Id": world.containers["web"].id, "Name": "web", "State": "running"},
    ]


def test_a_pod_without_infra_leaves_out_what_is_empty(world) -> None:
    bare = json.loads(world.pypod.ok("pod", "inspect", "bare"))
    assert list(bare) == [
        "Id",
        "Name",
        "Created",
        "ExitPolicy",
        "State",
        "Hostname",
        "CreateCgroup",
        "CgroupParent",
        "CreateInfra",
        "NumContainers",
    ]
    # a template still sees the fields
    assert world.pypod.ok("pod", "inspect", "bare", "-f", "{{.Labels}} {{.Containers}}") == "map[] []\n"


def test_a_template_may_ask_for_the_networks_of_who_has_none(world) -> None:
    template = "{{json .NetworkSettings.Networks}}{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}"
    assert world.pypod.ok("inspect", "web", "--format", template) == "null\n"


def test_the_library_says_the_same(world) -> None:
    library = json.loads(json.dumps(world.containers["web"].inspect()))
    shown = inspected(world, "web")
    for field in ("Init", "IDMappings"):  # omitempty
        del library["HostConfig"][field]
    del library["Config"]["CreateCommand"]
    assert library == shown
    assert world.pods["mipod"].inspect()["Labels"] == {"tier": "front", "empty": ""}


def test_layout_of_the_json(world) -> None:
    out = world.pypod.ok("inspect", "web", "mipod")
    assert out.startswith(f'[\n     {{\n          "Id": "{world.containers["web"].id}",\n          "Created": ')
    assert out.endswith("     }\n]\n")
    assert '"odd": "<a&b>"' in out
    assert [one["Name"] for one in json.loads(out)] == ["web", "mipod"]
    # a single pod is shown without a list around it, several are shown in one
    assert world.pypod.ok("pod", "inspect", "mipod").startswith("{\n     ")
    assert len(json.loads(world.pypod.ok("pod", "inspect", "mipod", "bare"))) == 2
    assert world.pypod.ok("inspect", "web", "--format", "json") == world.pypod.ok("inspect", "web")


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{.Name}}", "web\n"),
        ("{{.State.Status}} {{.State.Running}}", "running true\n"),
        ("{{.Config.Labels}} {{.Config.Labels.app}}", "map[app:web odd:<a&b>] web\n"),
        ('{{index .Config.Labels "nosuch"}}', "\n"),
        ("{{json .Config.Labels}}", '{"app":"web","odd":"<a&b>"}\n'),
        ("{{json .Config.Volumes}}", "null\n"),
        ("{{.Config.Volumes}} {{.HostConfig.Links}}", "map[] []\n"),
        ("{{range .Mounts}}{{.Source}}:{{.Destination}}{{end}}", "/usr:/mnt/usr\n"),
        ("{{.State.FinishedAt}}", "0001-01-01 00:00:00 +0000 UTC\n"),
        ("{{json .State.FinishedAt}}", '"0001-01-01T00:00:00Z"\n'),
        ("table {{.Name}} {{.IsInfra}}", "web         false\n"),
        (r"{{.Name}}\t{{.IsInfra}}", "web\tfalse\n"),
    ],
)
def test_templates(world, template, expected) -> None:
    assert world.pypod.ok("inspect", "web", "--format", template) == expected


def test_moments_in_templates_are_go_s(world) -> None:
    out = world.pypod.ok("inspect", "web", "-f", "{{.Created}}|{{json .Created}}|{{.ID}}|{{.Id}}").strip().split("|")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ [+-]\d{4} \w+", out[0])
    assert re.fullmatch(f'"{MOMENT}"', out[1])
    assert out[2] == out[3] == world.containers["web"].id


def test_the_latest_and_the_size(world) -> None:
    assert world.pypod.ok("inspect", "-l", "-f", "{{.Name}}") == "ghost\n"
    assert world.pypod.ok("pod", "inspect", "-l", "-f", "{{.Name}}") == "bare\n"
    assert world.pypod.ok("inspect", "-t", "pod", "-l", "-f", "{{.Name}}") == "bare\n"
    sized = list(inspected(world, "-s", "web"))
    assert sized[sized.index("GraphDriver") :][1:3] == ["SizeRw", "SizeRootFs"]


def test_missing_names_are_told_after_the_others_are_shown(world) -> None:
    done = world.pypod("inspect", "nope", "web", "nope2", "--format", "{{.Name}}")
    assert (done.returncode, done.stdout) == (125, "web\n")
    assert done.stderr == (
        'error inspecting object: no such object: "nope2"\nError: inspecting object: no such object: "nope"\n'
    )
    alone = world.pypod("inspect", "nope")
    assert (alone.returncode, alone.stdout) == (125, "[]\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["inspect"], "no names or ids specified"),
        (["inspect", "-l", "web"], "--latest and arguments cannot be used together"),
        (
            ["inspect", "-t", "foo", "web"],
            'invalid type "foo": must be "image", "container", "pod", "network", "volume", or "all"',
        ),
        (
            ["inspect", "-f", "{{.Nope}}", "web"],
            "inspecting object: printing inspect output: template: inspect:1:13: "
            'executing "inspect" at <.Nope>: can\'t evaluate field Nope in type interface {}',
        ),
    ],
)
def test_bad_input(world, words, message) -> None:
    done = world.pypod(*words)
    assert (done.returncode, done.stdout, done.stderr) == (125, "", f"Error: {message}\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["inspect", "-t", "pod", "web"], "no such pod web"),
        (["container", "inspect", "mipod"], "no such container mipod"),
        (["pod", "inspect", "nope"], "no such pod nope"),
    ],
)
def test_the_wrong_kind(world, words, message) -> None:
    done = world.pypod(*words)
    assert (done.returncode, done.stdout, done.stderr) == (125, "[]\n", f"Error: inspecting object: {message}\n")


def test_an_init_and_added_capabilities_are_shown(world, busybox) -> None:
    options = {"init": True, "user": "daemon", "cap_add": ["NET_RAW"]}
    made = world.engine.containers.create(["sleep", "5"], name="initiated", rootfs=busybox, **options)
    try:
        found = inspected(world, "initiated")
        assert (found["Path"], found["Args"]) == ("/run/podman-init", ["--", "sleep", "5"])
        assert found["EffectiveCaps"] == ["CAP_NET_RAW"]
    finally:
        made.remove()


def test_a_health_check_in_a_template_is_a_go_struct(world, busybox) -> None:
    world.pypod.ok("create", "--name", "checked", "--health-cmd", "true", "--rootfs", busybox, "true")
    try:
        template = "{{.Config.Healthcheck}} {{json .Config.Healthcheck.Interval}}"
        assert world.pypod.ok("inspect", "-f", template, "checked") == "{[CMD-SHELL true] 0s 30s 30s 3} 30000000000\n"
    finally:
        world.pypod.ok("rm", "checked")


def test_what_a_template_wrote_before_its_error_is_shown(world) -> None:
    result = world.pypod("inspect", "-f", "{{.Name}} {{.State.Nope}}", "web")
    assert (result.returncode, result.stdout) == (125, "web ")
    assert result.stderr.endswith("can't evaluate field Nope in type *define.InspectContainerState\n")


def test_podman_s_words_for_fields(world) -> None:
    template = "{{.ImageID}}{{range .Mounts}}{{.Src}} {{.Dst}};{{end}}"
    assert world.pypod.ok("inspect", "-f", template, "web").startswith("/usr /mnt/usr;")
