"""Backups as downloads, for the owner alone: they are too large for Gradio, which would copy them first."""

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import backup_store
from genai_lab.web.messages import error_response


class BackupRoutes:
    """GET /backup-files/NAME; AuthMiddleware lets the owner through and nobody else."""

    def __init__(self, lab: LabContext) -> None:
        self._lab = lab

    def router(self) -> APIRouter:
        router = APIRouter(prefix=backup_store.DOWNLOAD)
        router.add_api_route("/{name}", self.download, methods=["GET"], response_model=None)
        return router

    def download(self, name: str) -> Response:
        try:
            stored = backup_store.show(self._lab, name)
        except LabError as problem:
            return error_response(str(problem), 404)
        return FileResponse(stored.path, media_type="application/x-tar", filename=stored.name)
