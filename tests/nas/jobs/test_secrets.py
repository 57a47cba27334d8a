"""Secrets are refused wherever others could read them, and never shown while refusing."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.errors import InvalidRequestError
from nas.jobs.secrets import holds_secret, refuse_secret_files, refuse_secrets
from nas.jobs.spec import JobSpec
from nas.jobs.start import start_job
from nas.store import Store

WORD = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=20)


@given(WORD, WORD, WORD)
def test_a_password_in_a_url_is_seen_wherever_it_stands(user: str, secret: str, host: str) -> None:
    assert holds_secret(f"postgresql://{user}:{secret}@{host}/nas")
    assert holds_secret(f"see s3://{user}:{secret}@{host}, please")
    assert holds_secret(quote(f"https://{user}:{secret}@{host}/x"))
    assert holds_secret(f"https://{host}/x?a=1&access_token={secret}")
    assert holds_secret(f"postgresql://{host}/nas?sslpassword={secret}")
    assert not holds_secret(f"postgresql://{user}@{host}:5432/{secret}")
    assert not holds_secret(f"s3://{host}/{user}:{secret}@2x.png")


def test_a_job_with_a_secret_is_not_stored(tmp_path: Path) -> None:
    spec = JobSpec.model_validate({"data": "https://me:hunter2@host/data.npz"})
    with Store.open(f"sqlite:///{tmp_path}/nas.db") as store:
        with pytest.raises(InvalidRequestError, match=r"`job\.data\.source`") as refused:
            start_job(store, spec, str(tmp_path))
        assert store.list_jobs() == []
    assert "hunter2" not in str(refused.value)


def test_a_secret_deep_in_a_document_is_named_by_its_place() -> None:
    document = {"space": {"stages": [{}, {"weights": ["s3://a:b@c"]}]}}
    with pytest.raises(InvalidRequestError, match=r"`job\.space\.stages\[1\]\.weights\[0\]`"):
        refuse_secrets(document, "job")
    refuse_secrets({"trials": 3, "ratio": 0.5, "none": None, "name": "plain"}, "job")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".env", "PGPASSWORD=hunter2"),
        ("conf/prod.env", "export WANDB_API_KEY=hunter2"),
        (".env.local", "NAS_STORE=postgresql://me:hunter2@db/nas"),
        ("auth_token", "hunter2"),
    ],
)
def test_a_folder_with_secrets_is_not_sent(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    with pytest.raises(InvalidRequestError, match=name) as refused:
        refuse_secret_files(str(tmp_path))
    assert "hunter2" not in str(refused.value)


def test_a_folder_with_plain_settings_is_sent(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OMP_NUM_THREADS=1\nTOKENIZERS_PARALLELISM=false\n")
    (tmp_path / "mine.py").write_text("TOKEN = None")
    refuse_secret_files(str(tmp_path))
