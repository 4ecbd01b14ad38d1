"""ui: Dagster and MLflow on loopback."""

from __future__ import annotations

from typing import Annotated

import typer


def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the Dagster UI.")] = 3000,
    mlflow_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the MLflow UI.")] = 5000,
) -> None:
    """Start the Dagster and MLflow UIs on this machine only; Ctrl-C stops both."""
    if port == mlflow_port:
        raise typer.BadParameter(f"the two ports must differ, both are {port}")
    from assets.settings import settings
    from orchestration.serving import serve

    serve(settings().home, port=port, mlflow_port=mlflow_port)
