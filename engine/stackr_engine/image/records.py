"""Which images the store has, under which names."""

import json
from typing import NamedTuple

from stackr_schemas.errors import Conflict, NotFound, StackrError
from stackr_schemas.image import StoredImage

from stackr_engine.image.reference import id_prefix, parse_reference
from stackr_engine.state import State

IMAGES_SCHEMA = """CREATE TABLE IF NOT EXISTS images (
    id TEXT PRIMARY KEY,
    created REAL NOT NULL,
    record TEXT NOT NULL -- a StoredImage without its names
)"""
NAMES_SCHEMA = """CREATE TABLE IF NOT EXISTS image_names (
    name TEXT PRIMARY KEY,
    id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE
)"""
ORIGINS_SCHEMA = """CREATE TABLE IF NOT EXISTS image_origins (
    name TEXT PRIMARY KEY REFERENCES image_names (name) ON DELETE CASCADE,
    digest TEXT NOT NULL,
    checked REAL NOT NULL
)"""
_SHORTEST_ID = 3
_HINT = "`stackr images` lists what is there; `stackr load` and `stackr import` bring more"


class Origin(NamedTuple):
    """What a registry had under a name when it was asked last."""

    digest: str
    """Of the index or the manifest."""
    checked: float
    """Seconds since the epoch."""


class Records:
    """Images and their names, in the state database."""

    def __init__(self, state: State):
        self._state = state
        self.generation = 0
        """Another number after every change: what was found before may no longer hold."""

    def put(self, image: StoredImage) -> None:
        """Record an image; its names are taken from whatever had them."""
        record = image.model_copy(update={"names": ()}).model_dump_json()
        with self._state.transaction() as database:
            database.execute(
                "INSERT INTO images VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET record = ?3",
                (image.id, image.created, record),
            )
            rows = [(name, image.id) for name in image.names]
            database.executemany("INSERT OR REPLACE INTO image_names VALUES (?, ?)", rows)
        self.generation += 1

    def name(self, image_id: str, name: str) -> None:
        """Give an image one more name, taken from whatever had it."""
        with self._state.transaction() as database:
            database.execute("INSERT OR REPLACE INTO image_names VALUES (?, ?)", (name, image_id))
        self.generation += 1

    def unname(self, name: str) -> None:
        """Forget one name; the image stays."""
        with self._state.transaction() as database:
            database.execute("DELETE FROM image_names WHERE name = ?", (name,))
        self.generation += 1

    def remove(self, image_id: str) -> None:
        """Forget an image and its names."""
        with self._state.transaction() as database:
            database.execute("DELETE FROM images WHERE id = ?", (image_id,))
        self.generation += 1

    def all(self) -> list[StoredImage]:
        """Return all images, the newest first."""
        names: dict[str, list[str]] = {}
        for row in self._state.query("SELECT name, id FROM image_names ORDER BY name"):
            names.setdefault(row["id"], []).append(row["name"])
        rows = self._state.query("SELECT id, record FROM images ORDER BY created DESC, id")
        return [_image(row["record"], names.get(row["id"], [])) for row in rows]

    def find(self, reference: str) -> StoredImage:
        """Return the image of that name, id or unambiguous start of an id; raise NotFound."""
        for name in _names(reference):
            rows = self._state.query("SELECT id FROM image_names WHERE name = ?", name)
            if rows:
                return self._by_id(rows[0]["id"])
        prefix = id_prefix(reference)
        if len(prefix) >= _SHORTEST_ID:
            found = self._by_prefix(prefix)
            if found:
                return self._by_id(found)
        raise NotFound(f"no image {reference} in the store", hint=_HINT)

    def name_of(self, reference: str) -> str:
        """Return the recorded name that a reference means; nothing where it is an id."""
        for name in _names(reference):
            if self._state.query("SELECT id FROM image_names WHERE name = ?", name):
                return name
        return ""

    def pulled(self, name: str, origin: Origin) -> None:
        """Remember where a name came from; forgotten when the name is given to something else."""
        with self._state.transaction() as database:
            database.execute(
                "INSERT OR REPLACE INTO image_origins SELECT name, ?2, ?3 FROM image_names "
                "WHERE name = ?1",
                (name, *origin),
            )

    def origin(self, name: str) -> Origin | None:
        """Return where a name came from, None for what was not pulled."""
        rows = self._state.query("SELECT digest, checked FROM image_origins WHERE name = ?", name)
        return Origin(rows[0]["digest"], rows[0]["checked"]) if rows else None

    def _by_id(self, image_id: str) -> StoredImage:
        rows = self._state.query("SELECT record FROM images WHERE id = ?", image_id)
        names = self._state.query(
            "SELECT name FROM image_names WHERE id = ? ORDER BY name", image_id
        )
        return _image(rows[0]["record"], [row["name"] for row in names])

    def _by_prefix(self, prefix: str) -> str:
        low, high = f"sha256:{prefix}", f"sha256:{prefix}g"
        rows = self._state.query("SELECT id FROM images WHERE id >= ? AND id < ?", low, high)
        if len(rows) > 1:
            raise Conflict(f"{len(rows)} images have ids that begin with {prefix}")
        return rows[0]["id"] if rows else ""


def _names(reference: str) -> list[str]:
    """Return the names under which a reference may be recorded."""
    try:
        parsed = parse_reference(reference)
    except StackrError:
        if reference.startswith("oci:") or id_prefix(reference):
            return [reference]
        raise
    return [str(parsed.recorded)]


def _image(record: str, names: list[str]) -> StoredImage:
    return StoredImage.model_validate(json.loads(record) | {"names": tuple(names)})
