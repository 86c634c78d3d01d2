"""Configuration that changes while services run: layered in files, checked, versioned in etcd, taken up within two seconds."""
from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta, Struct

from infirmary.kernel.live_config import (
    COMMON,
    ConfigRefused,
    EtcdStore,
    Head,
    Live,
    Version,
    diff,
    merged,
    push,
    rollback,
    store,
)
from infirmary.kernel.live_config.versions import digest
from infirmary.kernel.registries.gateway import StoreAway
from tests.etcd import LACKING, Etcd

SERVICES = ("toys", "games")


class Pace(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    a_second: Annotated[int, Meta(ge=1)] = 50
    at_once: int = 100

    def __post_init__(self) -> None:
        if self.at_once < self.a_second:
            raise ValueError("at_once is less than a_second")


class Rules(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    level: str = "info"
    pace: Pace = Pace()
    features: dict[str, bool] = {}
    more: Any = None


class Files:
    """A folder as Git would keep it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "test").mkdir(parents=True)
        self.write("common", "level: info\npace: {a_second: 10, at_once: 20}\nfeatures: {old: true}\n")

    def write(self, name: str, text: str) -> None:
        (self.folder / f"{name}.yaml").write_text(text)

    def merged(self) -> dict[str, dict[str, Any]]:
        return merged(self.folder, "test", Rules, SERVICES)

    async def push(self, kept: EtcdStore, author: str = "anna", note: str = "") -> Version:
        return await push(self.folder, "test", kept, into=Rules, services=SERVICES, author=author, note=note)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "config")


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[Etcd]:
    if LACKING:
        pytest.skip(LACKING)
    with Etcd(tmp_path) as made:
        yield made


@pytest.fixture
async def kept(etcd: Etcd) -> AsyncIterator[EtcdStore]:
    made = EtcdStore(etcd.url, "test")
    await made.open()
    yield made
    await made.close()


@asynccontextmanager
async def live(etcd: Etcd, service: str = "toys") -> AsyncIterator[Live[Rules]]:
    made = Live(Rules, service, store(etcd.url, "test", into=Rules, services=SERVICES))
    await made.open()
    try:
        yield made
    finally:
        await made.close()


async def until(condition: Callable[[], bool], *, within: float = 2.0) -> float:
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < within, f"not so after {within} s"
        await asyncio.sleep(.01)
    return time.monotonic() - begun


def test_a_service_is_given_the_sum_of_its_layers(files: Files) -> None:
    files.write("test/common", "pace: {at_once: 30}\n")
    files.write("test/toys", "# for toys only\npace: {a_second: 5}\nfeatures: {new: true}\n")
    assert files.merged() == {
        COMMON: {"level": "info", "pace": {"a_second": 10, "at_once": 30}, "features": {"old": True}},
        "toys": {"level": "info", "pace": {"a_second": 5, "at_once": 30}, "features": {"old": True, "new": True}}}


def test_an_empty_file_adds_nothing(files: Files) -> None:
    files.write("test/toys", "# nothing yet\n")
    content = files.merged()
    assert content["toys"] == content[COMMON]


@pytest.mark.parametrize(("text", "said"), [
    ("levle: info", "levle: no such key is known"),
    ("pace: {a_secnod: 1}", "pace.a_secnod: no such key is known"),
    ("pace: {a_second: '1'}", "pace.a_second: Expected `int`, got `str`"),
    ("pace: {a_second: 0}", "pace.a_second: Expected `int` >= 1"),
    ("pace: {a_second: yes}", "pace.a_second: Expected `int`, got `bool`"),
    ("pace:", "pace: Expected `object`, got `null`"),
    ("features: {a: true, b: maybe}", "features.b: Expected `bool`, got `str`"),
    ("level: info\nlevel: debug", "line 2: this key is here already"),
    ("pace: {a_second: 1, a_second: 2}", "line 1: this key is here already"),
    ("level: [info", "line 1: "),
    ("- level", "must hold keys and values"),
    ("level: !!python/name:os.system x", "could not determine a constructor"),
    ("level: \x00", "cannot be read"),
])
def test_a_fault_is_refused_with_its_file_key_and_reason(files: Files, text: str, said: str) -> None:
    files.write("test/toys", text)
    with pytest.raises(ConfigRefused) as refused:
        files.merged()
    assert str(files.folder / "test" / "toys.yaml") in str(refused.value)
    assert said in str(refused.value)


@pytest.mark.parametrize("key", ["password", "db_password", "dbpassword", "secret", "clientSecret", "api_token", "key", "apiKey",
                                 "API_KEY", "credentials", "dsn", "sentry_dsn", "passphrase", "key2"])
def test_what_is_called_a_secret_is_refused_unseen(files: Files, key: str) -> None:
    files.write("test/toys", f"more: [{{{key}: hunter2}}]")
    with pytest.raises(ConfigRefused, match=rf"toys\.yaml: more\[0\]\.{key}: by its name this is a secret") as refused:
        files.merged()
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("value", ["postgresql://me:hunter2@db/x", "redis://:hunter2@cache:6379",
                                   "-----BEGIN PRIVATE KEY-----hunter2"])
def test_what_holds_a_secret_is_refused_unseen(files: Files, value: str) -> None:
    files.write("test/toys", f"level: '{value}'")
    with pytest.raises(ConfigRefused, match=r"toys\.yaml: level: it holds a password or a key") as refused:
        files.merged()
    assert "hunter2" not in str(refused.value)


def test_a_broken_file_is_not_quoted(files: Files) -> None:
    files.write("test/toys", "level: hunter2\n  pass: hunter2")
    with pytest.raises(ConfigRefused, match=r"line 2") as refused:
        files.merged()
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("harmless", ["features: {monkey_house: true, secretary: false, tokenised: true}",
                                      "level: https://me@host:8000/x?a=b:c@d"])
def test_what_only_looks_like_a_secret_is_let_through(files: Files, harmless: str) -> None:
    files.write("test/toys", harmless)
    files.merged()


def test_rules_between_keys_are_for_the_sum_of_the_layers(files: Files) -> None:
    files.write("test/toys", "pace: {at_once: 15}")   # less than the default a_second, but not less than that of common
    files.merged()
    files.write("test/toys", "pace: {a_second: 30}")
    with pytest.raises(ConfigRefused, match="test, toys: pace: at_once is less than a_second"):
        files.merged()


@pytest.mark.parametrize("name", ["test/tois", "toys", "test/toys.yml"])
def test_a_file_that_nobody_would_read_is_refused(files: Files, name: str) -> None:
    (files.folder / (name if name.endswith("yml") else f"{name}.yaml")).write_text("level: info")
    with pytest.raises(ConfigRefused, match="nobody would read"):
        files.merged()


@pytest.mark.parametrize("name", ["tset", "", "..", "test/../test"])
def test_an_environment_that_is_not_there_is_refused(files: Files, name: str) -> None:
    with pytest.raises(ConfigRefused, match="There are: test"):
        merged(files.folder, name, Rules, SERVICES)


def test_all_faults_are_told_at_once(files: Files) -> None:
    files.write("test/toys", "password: x\ntoken: y")
    files.write("test/games", "levle: 1")
    with pytest.raises(ConfigRefused) as refused:
        files.merged()
    assert len(str(refused.value).splitlines()) == 3


async def test_a_push_is_a_version_with_author_time_note_and_digest(files: Files, kept: EtcdStore) -> None:
    first = await files.push(kept, author="anna", note="the beginning")
    files.write("test/toys", "level: debug")
    second = await files.push(kept, author="bo")
    assert await files.push(kept) == second   # nothing has changed
    assert await kept.history() == [first, second]
    assert (first.version, first.author, first.note, second.version, second.author) == (1, "anna", "the beginning", 2, "bo")
    assert first.digest != second.digest
    assert first.at <= second.at


async def test_what_is_refused_is_not_written(files: Files, kept: EtcdStore) -> None:
    first = await files.push(kept)
    files.write("test/toys", "levle: debug")
    with pytest.raises(ConfigRefused):
        await files.push(kept)
    assert await kept.history() == [first]


async def test_of_two_pushers_from_the_same_version_one_is_refused(files: Files, kept: EtcdStore) -> None:
    first = await files.push(kept, author="anna")
    head = await kept.head()
    await kept.write(changed(first, 2, author="bo", level="debug"), after=head)
    with pytest.raises(ConfigRefused, match=r"Somebody was quicker: version 2 by bo"):
        await kept.write(changed(first, 2, author="cy", level="error"), after=head)
    with pytest.raises(ConfigRefused, match="Somebody was quicker"):
        await kept.write(changed(first, 1, author="cy", level="error"), after=Head(None, 0))
    assert [one.author for one in await kept.history()] == ["anna", "bo"]


async def test_racing_pushers_never_interleave(files: Files, etcd: Etcd, tmp_path: Path) -> None:
    async def race(n: int) -> Version:
        own, kept = Files(tmp_path / f"config{n}"), EtcdStore(etcd.url, "test")
        own.write("test/toys", f"pace: {{a_second: {n}}}")
        await kept.open()
        try:
            return await own.push(kept, author=f"pusher {n}")
        finally:
            await kept.close()

    done = await asyncio.gather(*(race(n) for n in range(1, 9)), return_exceptions=True)
    pushed = sorted((one for one in done if isinstance(one, Version)), key=lambda one: one.version)
    refused = [one for one in done if isinstance(one, ConfigRefused)]
    assert len(pushed) + len(refused) == 8
    assert refused, "they did not race"
    reader = EtcdStore(etcd.url, "test")
    await reader.open()
    assert await reader.history() == pushed
    assert [one.version for one in pushed] == list(range(1, len(pushed) + 1))
    assert (await reader.head()).version == pushed[-1]
    await reader.close()


async def test_rolling_back_is_a_new_version_with_the_old_content(files: Files, kept: EtcdStore) -> None:
    first = await files.push(kept)
    files.write("common", "level: debug")
    second = await files.push(kept)
    third = await rollback(1, kept, into=Rules, author="bo")
    assert (third.version, third.content, third.author, third.note) == (3, first.content, "bo", "back to version 1")
    assert await kept.history() == [first, second, third]
    with pytest.raises(ConfigRefused, match="There is no version 9"):
        await rollback(9, kept, into=Rules, author="bo")


async def test_an_old_version_that_does_not_fit_any_more_is_not_rolled_back_to(files: Files, kept: EtcdStore) -> None:
    class Newer(Struct, frozen=True, forbid_unknown_fields=True):
        level: str = "info"

    await files.push(kept)
    with pytest.raises(ConfigRefused, match=r"version 1, common: .*: no such key is known"):
        await rollback(1, kept, into=Newer, author="bo")


async def test_what_differs_is_shown_by_service_and_key(files: Files, kept: EtcdStore) -> None:
    first = await files.push(kept)
    files.write("test/games", "pace: {at_once: 25}\nfeatures: {new: true}")
    second = await files.push(kept)
    assert [line for line in diff(first, second) if not line.startswith("@@")] == [
        "--- version 1", "+++ version 2", "+games.features.new: true", "-games.pace.at_once: 20", "+games.pace.at_once: 25"]


async def test_five_services_see_a_push_within_two_seconds(files: Files, etcd: Etcd, kept: EtcdStore) -> None:
    await files.push(kept)
    async with live(etcd) as a, live(etcd) as b, live(etcd) as c, live(etcd, "games") as d, live(etcd, "other") as e:
        watchers = [a, b, c, d, e]
        assert [one.version for one in watchers] == [1] * 5
        assert e.value.pace == Pace(a_second=10, at_once=20)
        files.write("test/games", "pace: {at_once: 25}")
        await files.push(kept)
        assert await until(lambda: all(one.version == 2 for one in watchers)) < 2
        assert [one.value.pace.at_once for one in watchers] == [20, 20, 20, 25, 20]


async def test_listeners_are_told_of_each_version_when_it_holds(files: Files, etcd: Etcd, kept: EtcdStore) -> None:
    made, told = Live(Rules, "toys", store(etcd.url, "test", into=Rules, services=SERVICES)), []

    def failing() -> None:
        raise ZeroDivisionError

    async def listening() -> None:
        told.append((made.version, made.value.level, "awaited"))

    made.on_change(failing)   # one listener's trouble is not the others'
    made.on_change(lambda: told.append((made.version, made.value.level)))
    made.on_change(listening)
    await made.open()
    try:
        assert (made.version, made.value, told) == (0, Rules(), [])   # nothing was pushed: the defaults
        await files.push(kept)
        files.write("common", "level: debug")
        await until(lambda: made.version == 1)
        await files.push(kept)
        await until(lambda: len(told) == 4)
        assert told == [(1, "info"), (1, "info", "awaited"), (2, "debug"), (2, "debug", "awaited")]
    finally:
        await made.close()


async def test_a_bad_version_never_replaces_a_good_one(files: Files, etcd: Etcd, kept: EtcdStore) -> None:
    good = await files.push(kept)
    async with live(etcd) as watcher:
        for number, bad in enumerate([changed(good, 2, levle="debug"), changed(good, 3, pace={"a_second": "many"}),
                                      changed(good, 4, level="redis://:hunter2@cache"),
                                      msgspec.structs.replace(changed(good, 5, level="debug"), digest="0" * 64)], 2):
            await kept._etcd.put("/infirmary/config/test/head", msgspec.json.encode(bad), lease="0")
            await asyncio.sleep(.3)
            assert (watcher.version, watcher.value.level) == (1, "info"), number
        await kept._etcd.put("/infirmary/config/test/head", b"{", lease="0")
        await asyncio.sleep(.3)
        assert watcher.version == 1
        await kept._etcd.put("/infirmary/config/test/head", msgspec.json.encode(changed(good, 6, level="error")), lease="0")
        await until(lambda: watcher.version == 6)
        assert watcher.value.level == "error"


async def test_while_etcd_is_away_the_last_good_value_holds(files: Files, etcd: Etcd, kept: EtcdStore) -> None:
    await files.push(kept)
    async with live(etcd) as watcher:
        etcd.stop()
        with pytest.raises(StoreAway):
            await kept.head()
        await asyncio.sleep(2)
        assert (watcher.version, watcher.value.pace.a_second) == (1, 10)
        etcd.start()
        files.write("common", "level: debug")
        await files.push(kept)
        await until(lambda: watcher.value.level == "debug", within=3)
        etcd.stop()
        etcd.forget()
        etcd.start()
        await asyncio.sleep(2)
        assert watcher.value.level == "debug"   # an empty store says nothing


async def test_who_starts_while_etcd_is_away_has_the_defaults_until_it_comes(files: Files, etcd: Etcd,
                                                                             kept: EtcdStore) -> None:
    await files.push(kept)
    etcd.stop()
    async with live(etcd) as watcher:
        assert (watcher.version, watcher.value) == (0, Rules())
        etcd.start()
        await until(lambda: watcher.version == 1, within=3)


async def test_a_folder_is_watched_and_a_broken_file_changes_nothing(files: Files) -> None:
    made = Live(Rules, "toys", store(str(files.folder), "test", into=Rules, services=SERVICES))
    await made.open()
    try:
        assert made.value.pace.a_second == 10
        assert made.version > 1_700_000_000
        files.write("test/toys", "pace: {a_second: 11}")
        await until(lambda: made.value.pace.a_second == 11)
        files.write("test/toys", "pace: {a_second: many}")
        await asyncio.sleep(1.5)
        assert made.value.pace.a_second == 11
        files.write("test/toys", "pace: {a_second: 12}")
        await until(lambda: made.value.pace.a_second == 12)
        (files.folder / "test" / "toys.yaml").unlink()
        await until(lambda: made.value.pace.a_second == 10)
    finally:
        await made.close()


async def test_without_a_store_the_defaults_hold() -> None:
    made = Live(Rules, "toys")
    await made.open()
    assert (made.value, made.version) == (Rules(), 0)
    await made.close()


def changed(version: Version, number: int, *, author: str = "anna", **values: Any) -> Version:
    content = {COMMON: version.content[COMMON] | values}
    return msgspec.structs.replace(version, version=number, author=author, content=content, digest=digest(content))
