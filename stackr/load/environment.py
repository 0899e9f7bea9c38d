"""The variables and labels of services, with those of their files."""

import posixpath
from collections.abc import Callable
from dataclasses import dataclass

from stackr_schemas.compose.project import Project
from stackr_schemas.compose.service import Service
from stackr_schemas.errors import StackrError

from stackr.load.dotenv import parse_format
from stackr.load.files import Files
from stackr.load.problem import Report, display_name
from stackr.load.tree import Map, mark_at

Variables = dict[str, str | None]


@dataclass
class ServiceFiles:
    """Reads the `env_file` and `label_file` entries of services."""

    files: Files
    cwd: str
    folder: str
    """What relative paths start from, where they have not been resolved."""
    tree: Map
    report: Report

    def resolved(self, project: Project) -> Project:
        """Give every enabled service its variables and labels; problems go to the report."""
        services = {
            name: self._service(name, service, project.environment)
            for name, service in project.services.items()
        }
        return project.changed(services=services)

    def _service(self, name: str, service: Service, environment: dict[str, str]) -> Service:
        if not service.env_file and not service.label_file:
            return service
        changes: dict[str, object] = {}
        if service.env_file:
            variables = self.variables(name, service, environment)
            changes = {"environment": variables | service.environment, "env_file": ()}
        if service.label_file:
            labels = self._labels(name, service)
            changes |= {"labels": labels | service.labels, "label_file": ()}
        return service.model_copy(update=changes)

    def variables(
        self,
        name: str,
        service: Service,
        environment: dict[str, str],
        note: Callable[[str, str], None] = lambda key, file: None,
    ) -> Variables:
        """Read the variables of a service's files; `note` hears which file each one is from."""

        def known(key: str) -> str | None:
            value = environment.get(key)
            return service.environment.get(key) if value is None else value

        found: Variables = {}
        for index, env_file in enumerate(service.env_file):
            path = f"services.{name}.env_file[{index}]"
            file = posixpath.join(self.folder, env_file.path)
            if not self.files.is_file(file):
                if env_file.required:
                    self._note(path, f"env file {file} not found")
                continue
            read = self._read(file, env_file.format, path, known)
            for key in read:
                note(key, display_name(file, self.cwd))
            found |= read
        return found

    def _labels(self, name: str, service: Service) -> dict[str, str]:
        found: dict[str, str] = {}
        for index, label_file in enumerate(service.label_file):
            file = posixpath.join(self.folder, label_file)
            path = f"services.{name}.label_file[{index}]"
            if not self.files.is_file(file):
                self._note(path, f"label file {file} not found")
                continue
            found |= self._read(file, "", path, found.get)
        return found

    def _read(
        self, file: str, form: str, path: str, lookup: Callable[[str], str | None]
    ) -> dict[str, str]:
        name = display_name(file, self.cwd)
        try:
            text = self.files.read(file)
            return parse_format(text, name, form, lookup, self._missing)
        except StackrError as error:
            self._note(path, str(error))
            return {}

    def _missing(self, name: str) -> None:
        self.report.warn(f'The "{name}" variable is not set. Defaulting to a blank string.')

    def _note(self, path: str, message: str) -> None:
        keys = path.partition("[")[0].split(".")
        self.report.add(mark_at(self.tree, keys), path, message)
